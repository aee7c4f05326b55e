//go:build linux

package cache

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// ghaServer is a small server that behaves as that of GitHub does: entries are made in three steps, never change,
// and their blobs are behind signed URLs of another host.
type ghaServer struct {
	t     *testing.T
	blobs *httptest.Server

	mu sync.Mutex
	// entries are by key and version; nil until they are complete.
	entries map[string][]byte
	uploads map[string][]byte
	// newest are the newest keys that begin in some way.
	newest map[string]string
}

func newGHAServer(t *testing.T) (*ghaServer, string) {
	t.Helper()
	s := &ghaServer{t: t, entries: map[string][]byte{}, uploads: map[string][]byte{}, newest: map[string]string{}}
	s.blobs = httptest.NewServer(http.HandlerFunc(s.blob))
	t.Cleanup(s.blobs.Close)
	service := httptest.NewServer(http.HandlerFunc(s.call))
	t.Cleanup(service.Close)
	return s, service.URL + "/"
}

func (s *ghaServer) call(w http.ResponseWriter, r *http.Request) {
	method, ok := strings.CutPrefix(r.URL.Path, "/twirp/github.actions.results.api.v1.CacheService/")
	var e entry
	decoding := json.NewDecoder(r.Body).Decode(&e)
	if !ok || r.Method != http.MethodPost || decoding != nil || e.Key == "" || len(e.Key) > 512 || len(e.Version) != 64 {
		twirpError(w, http.StatusBadRequest, "invalid_argument")
		return
	}
	if r.Header.Get("Authorization") != "Bearer token" {
		twirpError(w, http.StatusUnauthorized, "unauthenticated")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := e.Key + " " + e.Version
	content, exists := s.entries[id]
	var answer entry
	switch method {
	case "CreateCacheEntry":
		if exists {
			twirpError(w, http.StatusConflict, "already_exists")
			return
		}
		s.entries[id] = nil
		answer = entry{OK: true, SignedUploadURL: s.blobs.URL + "/" + strconv.Itoa(len(s.entries)) + "?sig=x&id=" + strings.ReplaceAll(id, " ", "+")}
	case "FinalizeCacheEntryUpload":
		upload, uploaded := s.uploads[id]
		if !uploaded || strconv.Itoa(len(upload)) != e.SizeBytes {
			twirpError(w, http.StatusBadRequest, "invalid_argument")
			return
		}
		s.entries[id] = upload
		s.newest[e.Key[:strings.LastIndex(e.Key, "-")+1]] = e.Key
		answer.OK = true
	case "GetCacheEntryDownloadURL":
		if len(e.RestoreKeys) == 1 {
			e.Key = s.newest[e.RestoreKeys[0]]
			id = e.Key + " " + e.Version
			content = s.entries[id]
		}
		if content != nil {
			answer = entry{OK: true, MatchedKey: e.Key, SignedDownloadURL: s.blobs.URL + "/get?sig=y&id=" + strings.ReplaceAll(id, " ", "+")}
		}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}

func twirpError(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"code":"`+code+`","msg":"a message"}`)
}

// blob is the storage: a blob is put as a whole and got from any byte on.
func (s *ghaServer) blob(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.URL.Query().Get("id")
	if r.Header.Get("Authorization") != "" || r.URL.Query().Get("sig") == "" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("X-Ms-Blob-Type") != "BlockBlob" || r.ContentLength != int64(len(body)) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.uploads[id] = body
		w.WriteHeader(http.StatusCreated)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(s.entries[id])))
}

func TestGHA(t *testing.T) {
	server, url := newGHAServer(t)
	open := func() both {
		g, err := NewGHA(GHAOptions{URL: url, Token: "token", Scope: "main", Client: http.DefaultClient, UserAgent: "test"})
		if err != nil {
			t.Fatal(err)
		}
		return &Objects{Bucket: g}
	}
	contract(t, open, func(*testing.T) {
		server.mu.Lock()
		defer server.mu.Unlock()
		for key, content := range server.entries {
			if strings.Contains(key, "blobs/") {
				server.entries[key][len(content)/2] ^= 1
			}
		}
	})
}

// What goes wrong says so, without the URLs, which are signed.
func TestGHARefused(t *testing.T) {
	_, url := newGHAServer(t)
	g, err := NewGHA(GHAOptions{URL: url, Token: "wrong", Scope: "main", Client: http.DefaultClient})
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Exists(t.Context(), "keys/x")
	if err == nil || !strings.Contains(err.Error(), "401 unauthenticated") {
		t.Errorf("got %v", err)
	}
	g, err = NewGHA(GHAOptions{URL: "http://127.0.0.1:1/", Token: "x", Client: http.DefaultClient})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = g.Open(t.Context(), "keys/x", 0); err == nil || strings.Contains(err.Error(), "twirp") {
		t.Errorf("got %v", err)
	}
	if _, err := NewGHA(GHAOptions{}); err == nil {
		t.Error("a cache without an address was opened")
	}
}

// A transfer that breaks is taken up where it broke, and given up when it does not move on.
func TestBrokenTransfer(t *testing.T) {
	blob := packedLayer(t, strings.Repeat("some content ", 1000))
	r, err := blob.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	packed, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	l := newBlob(t.Context(), documentFor(t, blob, "op", "a"), func(_ context.Context, offset int64) (io.ReadCloser, error) {
		opened++
		return io.NopCloser(io.MultiReader(strings.NewReader(string(packed[offset:min(int(offset)+20, len(packed))])), broken{})), nil
	})
	if err := drain(l.Uncompressed); err != nil || opened < 3 {
		t.Errorf("after %d connections: %v", opened, err)
	}
	l = newBlob(t.Context(), documentFor(t, blob, "op", "a"), func(context.Context, int64) (io.ReadCloser, error) {
		return io.NopCloser(broken{}), nil
	})
	if err := drain(l.Compressed); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("the connection is broken")

// broken is a connection that has broken.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

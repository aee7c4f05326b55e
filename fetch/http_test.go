//go:build linux

package fetch

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-298d225e/builder/httpclient"
)

// quickly tries again at once.
var quickly = httpclient.Retry{Min: 1, Max: 1}

var modified = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

func TestFetch(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="../../pwn"`)
		http.ServeContent(w, r, "", modified, strings.NewReader("content"))
	})
	dir := t.TempDir()
	h := newHTTP(t, dir)
	f := fetch(t, h, Request{URL: s.URL + "/a/file.txt?x=1#fragment"})
	info := wantFile(t, f, "file.txt", "content")
	if info.Mode() != 0o600 || !info.ModTime().Equal(modified) {
		t.Errorf("got mode %v and time %v", info.Mode(), info.ModTime())
	}
	if f.LastModified == nil || !f.LastModified.Equal(modified) {
		t.Errorf("got last modified %v", f.LastModified)
	}
	wantFile(t, fetch(t, h, Request{URL: s.URL + "/a/file.txt", Filename: "other"}), "other", "content")
	wantFile(t, fetch(t, h, Request{URL: s.URL}), "download", "content")
	wantNoDrafts(t, dir)
}

func TestFetchWithoutTime(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") })
	f := fetch(t, newHTTP(t, t.TempDir()), Request{URL: s.URL + "/f"})
	if info := wantFile(t, f, "f", "x"); !info.ModTime().Equal(time.Unix(0, 0)) || f.LastModified != nil {
		t.Errorf("got %v and %v", info.ModTime(), f.LastModified)
	}
}

func TestBadRequests(t *testing.T) {
	for _, tt := range []struct {
		r    Request
		want string
	}{
		{Request{URL: "ftp://h/f"}, "not an http or https URL"},
		{Request{URL: "file:///etc/passwd"}, "not an http or https URL"},
		{Request{URL: "http:///f"}, "no host"},
		{Request{URL: "http://u:secret@h:port/f"}, "downloading http://xxxxx@h:port/f: not a valid URL"},
		{Request{URL: "http://u:secret/secret@h/f"}, "not a valid URL"},
		{Request{URL: "http://h:port/f"}, `invalid port ":port"`},
		{Request{URL: "http://h/f", Filename: "../f"}, "cannot be the name of a file"},
		{Request{URL: "http://h/f", Filename: strings.Repeat("x", 256)}, "too long"},
		{Request{URL: "http://h/f", Checksum: "md5:00"}, "unsupported checksum"},
		{Request{URL: "http://h/f", Checksum: "sha256:" + strings.Repeat("0", 63)}, "want 64 digits"},
		{Request{URL: "http://h/f", Checksum: "sha256:" + strings.Repeat("A", 64)}, "want 64 digits"},
	} {
		_, err := newHTTP(t, t.TempDir()).Fetch(t.Context(), tt.r)
		wantError(t, err, tt.want)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	_, err := (&HTTP{Dir: "relative"}).Fetch(t.Context(), Request{URL: "http://h/f"})
	wantError(t, err, "not an absolute path")
}

// What has not changed is not downloaded again, whichever way the server knows it.
func TestUnchanged(t *testing.T) {
	for name, tt := range map[string]struct {
		etag string
		time time.Time
	}{
		"etag":      {etag: `"1"`},
		"weak etag": {etag: `W/"1"`},
		"time":      {time: modified},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.etag != "" {
					w.Header().Set("ETag", tt.etag)
				}
				http.ServeContent(w, r, "", tt.time, strings.NewReader("content"))
			})
			dir := t.TempDir()
			first := fetch(t, newHTTP(t, dir), Request{URL: s.URL + "/f"})
			h := newHTTP(t, dir)
			h.Progress = func(string, int64, int64) { t.Error("it was downloaded again") }
			second := fetch(t, h, Request{URL: s.URL + "/f"})
			wantFile(t, second, "f", "content")
			if second.Path != first.Path || s.count() != 2 {
				t.Errorf("got %s, want %s", second.Path, first.Path)
			}
		})
	}
}

// A server that does not know conditions still sends the same tag: the body is not read.
func TestUnchangedWithoutConditions(t *testing.T) {
	content := strings.Repeat("x", 10<<20)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"1"`)
		fmt.Fprint(w, content)
	})
	dir := t.TempDir()
	first := fetch(t, newHTTP(t, dir), Request{URL: s.URL + "/f"})
	h := newHTTP(t, dir)
	h.Progress = func(string, int64, int64) { t.Error("it was downloaded again") }
	if second := fetch(t, h, Request{URL: s.URL + "/f"}); second.Path != first.Path {
		t.Errorf("got %s, want %s", second.Path, first.Path)
	}
}

// What was modified less than a minute before it was sent may have changed since without another time.
func TestYoungTimeIsNoCondition(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Now(), strings.NewReader("content"))
	})
	dir := t.TempDir()
	fetch(t, newHTTP(t, dir), Request{URL: s.URL})
	fetch(t, newHTTP(t, dir), Request{URL: s.URL})
	if got := s.headers("If-Modified-Since"); fmt.Sprint(got) != "[ ]" {
		t.Errorf("got %q", got)
	}
}

func TestChanged(t *testing.T) {
	content := "one"
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"`+content+`"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	})
	dir := t.TempDir()
	h := newHTTP(t, dir)
	first := fetch(t, h, Request{URL: s.URL + "/f"})
	content = "two"
	// Within a build an address has one content.
	wantFile(t, fetch(t, h, Request{URL: s.URL + "/f"}), "f", "one")
	wantFile(t, fetch(t, newHTTP(t, dir), Request{URL: s.URL + "/f"}), "f", "two")
	wantFile(t, first, "f", "one")
}

func TestChecksum(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	sum512, sum384 := sha512.Sum512([]byte("content")), sha512.Sum384([]byte("content"))
	for _, sum := range []string{
		"sha256:" + hexSum("content"), "sha384:" + hex.EncodeToString(sum384[:]), "sha512:" + hex.EncodeToString(sum512[:]),
	} {
		dir := t.TempDir()
		wantFile(t, fetch(t, newHTTP(t, dir), Request{URL: s.URL + "/f", Checksum: sum}), "f", "content")
		if s.count() != 1 {
			t.Errorf("%s: it was not downloaded once", sum)
		}
		// The second time nobody is asked, not even somebody else.
		wantFile(t, fetch(t, newHTTP(t, dir), Request{URL: "http://nowhere.invalid/f", Checksum: sum}), "f", "content")
		if s.count() != 0 {
			t.Errorf("%s: the server was asked again", sum)
		}
	}
}

func TestWrongChecksum(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	dir := t.TempDir()
	_, err := newHTTP(t, dir).Fetch(t.Context(), Request{URL: s.URL + "/f", Checksum: "sha256:" + hexSum("other")})
	wantError(t, err, "digest mismatch", hexSum("content"), hexSum("other"), s.URL)
	if s.count() != 1 {
		t.Error("it was tried again")
	}
	wantNoDrafts(t, dir)
	if kept, err := List(dir); len(kept) > 0 || err != nil {
		t.Errorf("kept %v, %v", kept, err)
	}
}

func TestStatus(t *testing.T) {
	for status, want := range map[int]struct {
		text     string
		requests int
	}{
		404: {"not found", 1},
		403: {"access denied", 1},
		418: {"418 I'm a teapot", 1},
		500: {"500 Internal Server Error", 5},
		503: {"503 Service Unavailable", 5},
		501: {"501 Not Implemented", 1},
		206: {"206 Partial Content", 1},
		304: {"304 Not Modified", 1},
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		_, err := newHTTP(t, t.TempDir()).Fetch(t.Context(), Request{URL: s.URL + "/f"})
		wantError(t, err, want.text, s.URL+"/f")
		if n := s.count(); n != want.requests {
			t.Errorf("%d: got %d requests, want %d", status, n, want.requests)
		}
		if e, ok := errors.AsType[*StatusError](err); !ok || e.Status != status {
			t.Errorf("%d: got %v", status, e)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	n := 0
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n < 3 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(w, "x")
	})
	wantFile(t, fetch(t, newHTTP(t, t.TempDir()), Request{URL: s.URL + "/f"}), "f", "x")

	late := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	_, err := newHTTP(t, t.TempDir()).Fetch(t.Context(), Request{URL: late.URL})
	wantError(t, err, "try again after 1h0m0s")
}

func TestEncoded(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(gzipOf(t, "content"))
	})
	wantFile(t, fetch(t, newHTTP(t, t.TempDir()), Request{URL: s.URL + "/f"}), "f", "content")
}

func TestMaxSize(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if chunked {
				w.(http.Flusher).Flush()
			}
			fmt.Fprint(w, "content")
		})
		h := newHTTP(t, t.TempDir())
		h.MaxSize = 6
		_, err := h.Fetch(t.Context(), Request{URL: s.URL})
		wantError(t, err, "larger than 6 bytes")
		if s.count() != 1 {
			t.Error("it was tried again")
		}
	}
}

func TestProgress(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	h := newHTTP(t, t.TempDir())
	var got []string
	h.Progress = func(what string, current, total int64) {
		got = append(got, fmt.Sprint(strings.TrimPrefix(what, "http://"), " ", current, "/", total))
	}
	fetch(t, h, Request{URL: strings.Replace(s.URL, "//", "//user:secret@", 1) + "/f"})
	host := strings.TrimPrefix(s.URL, "http://")
	if want := host + "/f 7/7"; len(got) == 0 || got[len(got)-1] != want {
		t.Errorf("got %q, want %q at the end", got, want)
	}
}

// Several builds at once, which share a directory, download a file once.
func TestConcurrent(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("content"))
	})
	dir := t.TempDir()
	shared := newHTTP(t, dir)
	var wg sync.WaitGroup
	for i := range 8 {
		h := shared
		if i%2 == 0 {
			h = newHTTP(t, dir)
		}
		wg.Go(func() {
			f, err := h.Fetch(t.Context(), Request{URL: s.URL + "/f"})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.ReadFile(filepath.Join(f.Path, "f")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	kept, err := List(dir)
	if err != nil || len(kept) != 1 {
		t.Errorf("kept %v, %v", kept, err)
	}
	wantNoDrafts(t, dir)
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "beginning")
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	dir := t.TempDir()
	_, err := newHTTP(t, dir).Fetch(ctx, Request{URL: s.URL})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantNoDrafts(t, dir)
}

// A download that was changed on the disk is not used.
func TestDamaged(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", modified, strings.NewReader("content"))
	})
	for name, damage := range map[string]func(f File) error{
		"flip":  func(f File) error { return os.WriteFile(filepath.Join(f.Path, f.Name), []byte("cOntent"), 0o600) },
		"cut":   func(f File) error { return os.Truncate(filepath.Join(f.Path, f.Name), 3) },
		"gone":  func(f File) error { return os.Remove(filepath.Join(f.Path, f.Name)) },
		"more":  func(f File) error { return os.WriteFile(filepath.Join(f.Path, "more"), nil, 0o600) },
		"blank": func(f File) error { return os.Truncate(filepath.Join(f.Path, "../record"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			request := Request{URL: s.URL + "/f", Checksum: "sha256:" + hexSum("content")}
			if err := damage(fetch(t, newHTTP(t, dir), request)); err != nil {
				t.Fatal(err)
			}
			wantFile(t, fetch(t, newHTTP(t, dir), request), "f", "content")
		})
	}
}

// Every file that is kept may be damaged: it works all the same.
func TestDamagedIndex(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	dir := t.TempDir()
	fetch(t, newHTTP(t, dir), Request{URL: s.URL + "/f"})
	names, err := filepath.Glob(filepath.Join(dir, indexDir, "*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, text := range []string{"", "{", `{"key":"../../../x"}`, "null"} {
		for _, name := range names {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		wantFile(t, fetch(t, newHTTP(t, dir), Request{URL: s.URL + "/f"}), "f", "content")
	}
}

func TestLastModified(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"head": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
		},
		"get": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
		},
	} {
		got, err := newHTTP(t, t.TempDir()).LastModified(t.Context(), serve(t, h).URL)
		if err != nil || got == nil || !got.Equal(modified) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	none := serve(t, func(http.ResponseWriter, *http.Request) {})
	if got, err := newHTTP(t, t.TempDir()).LastModified(t.Context(), none.URL); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	missing := serve(t, http.NotFound)
	_, err := newHTTP(t, t.TempDir()).LastModified(t.Context(), missing.URL)
	wantError(t, err, "not found")
}

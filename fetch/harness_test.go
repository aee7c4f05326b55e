//go:build linux

package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// served counts the requests to a test server and remembers the last one.
type served struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func serve(t *testing.T, h http.HandlerFunc) *served {
	t.Helper()
	s := &served{}
	s.Server = httptest.NewServer(s.recording(h))
	t.Cleanup(s.Close)
	return s
}

// serveTLS is serve over https, without complaints about those who do not like its certificate.
func serveTLS(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *served) recording(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Clone(context.WithoutCancel(r.Context())))
		s.mu.Unlock()
		h(w, r)
	})
}

// count returns how many requests there were since it was last called.
func (s *served) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.requests)
	s.requests = nil
	return n
}

func (s *served) headers(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	for _, r := range s.requests {
		values = append(values, r.Header.Get(name))
	}
	return values
}

// newHTTP returns an HTTP as a build has it. A second one for the same directory is a second build.
func newHTTP(t *testing.T, dir string) *HTTP {
	t.Helper()
	h := &HTTP{Dir: dir, Retry: quickly}
	t.Cleanup(h.Close)
	return h
}

func fetch(t *testing.T, h *HTTP, r Request) File {
	t.Helper()
	f, err := h.Fetch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wantFile checks that the directory of f holds one file with that content, and returns its properties.
func wantFile(t *testing.T, f File, name, content string) fs.FileInfo {
	t.Helper()
	entries, err := os.ReadDir(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != name || f.Name != name {
		t.Fatalf("got %v and %q, want %q", entries, f.Name, name)
	}
	got, err := os.ReadFile(filepath.Join(f.Path, name))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != content {
		t.Errorf("got %q, want %q", shorten(string(got)), shorten(content))
	}
	if want := "sha256:" + hexSum(content); f.Digest != want || f.Size != int64(len(content)) {
		t.Errorf("got digest %s and size %d, want %s and %d", f.Digest, f.Size, want, len(content))
	}
	info, err := entries[0].Info()
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func shorten(s string) string { return s[:min(len(s), 100)] }

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %q, want it to have %q", err, text)
		}
	}
}

// wantNoDrafts checks that nothing half done is left.
func wantNoDrafts(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(dir, tmpDir))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func bytesHandler(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }
}

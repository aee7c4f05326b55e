//go:build linux

package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// cutting serves content, but breaks the connection after so many bytes of every answer.
type cutting struct {
	mu      sync.Mutex
	content string
	after   int
	// etag is called for every request.
	etag func() string
	// lie changes what is sent instead of the rest.
	lie func(rest string) string
	// ranges are the Range headers that came.
	ranges []string
}

func (c *cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ranges = append(c.ranges, r.Header.Get("Range"))
	w.Header().Set("Accept-Ranges", "bytes")
	etag := ""
	if c.etag != nil {
		etag = c.etag()
		w.Header().Set("ETag", etag)
	}
	rest := c.content
	var from int
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && r.Header.Get("If-Range") == etag {
		rest = rest[from:]
		if c.lie != nil {
			rest = c.lie(rest)
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(c.content)-1, len(c.content)))
		w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
	}
	fmt.Fprint(w, rest[:min(len(rest), c.after)])
	if len(rest) > c.after {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

var long = strings.Repeat("0123456789", 50_000)

func TestResume(t *testing.T) {
	c := &cutting{content: long, after: 200_000, etag: func() string { return `"1"` }}
	s := serve(t, c.ServeHTTP)
	wantFile(t, fetch(t, newHTTP(t, t.TempDir()), Request{URL: s.URL + "/f"}), "f", long)
	if len(c.ranges) != 3 || c.ranges[0] != "" || c.ranges[1] == "" {
		t.Errorf("got %q", c.ranges)
	}
}

// With a checksum it does not matter whether the rest is of the same content.
func TestResumeByChecksum(t *testing.T) {
	c := &cutting{content: long, after: 300_000}
	s := serve(t, c.ServeHTTP)
	request := Request{URL: s.URL + "/f", Checksum: "sha256:" + hexSum(long)}
	wantFile(t, fetch(t, newHTTP(t, t.TempDir()), request), "f", long)
	if len(c.ranges) != 2 {
		t.Errorf("got %q", c.ranges)
	}
}

// Without a validator the rest could be that of other content, so all of it is asked for.
func TestNoResume(t *testing.T) {
	c := &cutting{content: long, after: 300_000}
	s := serve(t, c.ServeHTTP)
	dir := t.TempDir()
	_, err := newHTTP(t, dir).Fetch(t.Context(), Request{URL: s.URL + "/f"})
	wantError(t, err, "unexpected EOF")
	if got := strings.Join(c.ranges, ""); got != "" || len(c.ranges) != 5 {
		t.Errorf("got %q", c.ranges)
	}
	wantNoDrafts(t, dir)
}

// The content changes between the tries: the parts are not joined.
func TestChangedWhileResuming(t *testing.T) {
	n := 0
	c := &cutting{content: strings.Repeat("a", 300_000), after: 200_000}
	c.etag = func() string {
		if n++; n == 2 {
			c.content, c.after = long, len(long)
		}
		return `"` + c.content[:2] + `"`
	}
	s := serve(t, c.ServeHTTP)
	wantFile(t, fetch(t, newHTTP(t, t.TempDir()), Request{URL: s.URL + "/f"}), "f", long)
}

// A server that sends something else as the rest is found out by the checksum, and asked for the whole again.
func TestLyingAboutTheRest(t *testing.T) {
	c := &cutting{content: long, after: 400_000}
	c.lie = func(rest string) string {
		c.after = len(long)
		return strings.Repeat("x", len(rest))
	}
	s := serve(t, c.ServeHTTP)
	request := Request{URL: s.URL + "/f", Checksum: "sha256:" + hexSum(long)}
	wantFile(t, fetch(t, newHTTP(t, t.TempDir()), request), "f", long)
	if len(c.ranges) != 3 {
		t.Errorf("got %q", c.ranges)
	}
}

func TestWrongRange(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"other range": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-9/10")
			w.WriteHeader(http.StatusPartialContent)
		},
		"no range": func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) },
	} {
		t.Run(name, func(t *testing.T) {
			c := &cutting{content: long, after: 200_000, etag: func() string { return `"1"` }}
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") != "" {
					c.mu.Lock()
					defer c.mu.Unlock()
					c.after = len(long)
					answer(w)
					return
				}
				c.ServeHTTP(w, r)
			})
			wantFile(t, fetch(t, newHTTP(t, t.TempDir()), Request{URL: s.URL + "/f"}), "f", long)
		})
	}
}

func TestStall(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "beginning")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	h := newHTTP(t, t.TempDir())
	h.Timeouts.Idle = time.Second
	_, err := h.Fetch(t.Context(), Request{URL: s.URL})
	wantError(t, err, "nothing has moved between here and "+strings.TrimPrefix(s.URL, "http://")+" for 1s")
	if n := s.count(); n != 5 {
		t.Errorf("got %d tries", n)
	}
}

func TestConnectionRefused(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	_, err := newHTTP(t, t.TempDir()).Fetch(t.Context(), Request{URL: s.URL})
	wantError(t, err, "downloading "+s.URL, "connection refused")
}

func TestRedirectLoop(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) })
	_, err := newHTTP(t, t.TempDir()).Fetch(t.Context(), Request{URL: s.URL + "/"})
	wantError(t, err, "gave up after 10 redirects")
	if n := s.count(); n != 11 {
		t.Errorf("got %d requests", n)
	}
}

func TestRefusedRedirects(t *testing.T) {
	plain := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	var to string
	redirecting := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	})
	secure := serveTLS(t, redirecting)
	open := httptest.NewServer(redirecting)
	t.Cleanup(open.Close)
	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	for _, tt := range []struct{ from, to, want string }{
		{open.URL, "file:///etc/passwd", `refusing to follow a URL with scheme "file"`},
		{open.URL, "gopher://h/", `refusing to follow a URL with scheme "gopher"`},
		{open.URL, "http://169.254.169.254/latest/meta-data", "refusing to connect to the link-local address 169.254.169.254"},
		{open.URL, "http://[::ffff:169.254.169.254]/", "link-local address"},
		{open.URL, "http://[fe80::1]/", "link-local address"},
		{secure.URL, plain.URL, "refusing to go from https to http://"},
	} {
		to = tt.to
		h := newHTTP(t, t.TempDir())
		h.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		_, err := h.Fetch(t.Context(), Request{URL: tt.from})
		wantError(t, err, tt.want)
	}
	if n := plain.count(); n != 0 {
		t.Errorf("the redirect from https was followed")
	}
}

func TestUntrustedCertificate(t *testing.T) {
	s := serveTLS(t, http.NotFoundHandler())
	_, err := newHTTP(t, t.TempDir()).Fetch(t.Context(), Request{URL: s.URL})
	wantError(t, err, "certificate")
}

// secretsOf returns a Secret function that knows these.
func secretsOf(all map[string]string) func(string) ([]byte, error) {
	return func(id string) ([]byte, error) {
		if s, ok := all[id]; ok {
			return []byte(s), nil
		}
		return nil, fmt.Errorf("secret %s: %w", id, fs.ErrNotExist)
	}
}

func TestCredentials(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	withUser := strings.Replace(s.URL, "//", "//user:pass%20word@", 1)
	for _, tt := range []struct {
		url     string
		secrets map[string]string
		want    string
	}{
		{s.URL, nil, ""},
		{s.URL, map[string]string{"HTTP_AUTH_TOKEN_127.0.0.1": "tok\n"}, "Bearer tok"},
		{s.URL, map[string]string{"HTTP_AUTH_HEADER_127.0.0.1": "Custom x"}, "Custom x"},
		{s.URL, map[string]string{"HTTP_AUTH_TOKEN_other": "tok"}, ""},
		{withUser, nil, "Basic dXNlcjpwYXNzIHdvcmQ="},
		{withUser, map[string]string{"HTTP_AUTH_TOKEN_127.0.0.1": "tok"}, "Bearer tok"},
	} {
		s.count()
		h := newHTTP(t, t.TempDir())
		h.Secret = secretsOf(tt.secrets)
		fetch(t, h, Request{URL: tt.url})
		if got := s.headers("Authorization"); len(got) != 1 || got[0] != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestUnreadableSecret(t *testing.T) {
	h := newHTTP(t, t.TempDir())
	h.Secret = func(string) ([]byte, error) { return nil, errors.New("no such device") }
	_, err := h.Fetch(t.Context(), Request{URL: "http://127.0.0.1:1/"})
	wantError(t, err, "reading the secret HTTP_AUTH_HEADER_127.0.0.1: no such device")
}

// Credentials go to the origin they were given for, not to wherever that redirects.
func TestCredentialsAreNotForwarded(t *testing.T) {
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/f?sig=x", http.StatusFound)
	})
	h := newHTTP(t, t.TempDir())
	h.Secret = secretsOf(map[string]string{"HTTP_AUTH_TOKEN_127.0.0.1": "tok"})
	wantFile(t, fetch(t, h, Request{URL: s.URL + "/f?sig=secret"}), "f", "content")
	if got := s.headers("Authorization"); len(got) != 1 || got[0] != "Bearer tok" {
		t.Errorf("the server got %q", got)
	}
	for _, name := range []string{"Authorization", "Referer"} {
		if got := other.headers(name); len(got) != 1 || got[0] != "" {
			t.Errorf("the other server got %s %q", name, got)
		}
	}
}

// A password is in no error.
func TestCredentialsAreNotShown(t *testing.T) {
	s := serve(t, http.NotFound)
	for _, address := range []string{
		strings.Replace(s.URL, "//", "//user:secret@", 1),
		"http://user:secret@127.0.0.1:1/",
		"http://user:secret@nowhere.invalid./%zz",
		"ftp://user:secret@h/",
	} {
		_, err := newHTTP(t, t.TempDir()).Fetch(t.Context(), Request{URL: address})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	}
}

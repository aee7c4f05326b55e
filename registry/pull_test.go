package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/httpclient"
)

// pulled serves content as a blob of the repository app and returns the layer.
func pulled(t *testing.T, r *testRegistry, c Config, d v1.Descriptor) v1.Layer {
	t.Helper()
	return newClient(t, c).Layer(t.Context(), r.repo("app"), d, d.Digest)
}

// blobServer is a registry with one blob that understands ranges.
func blobServer(content []byte) (http.Handler, v1.Descriptor) {
	d := v1.Descriptor{MediaType: types.OCILayer, Digest: digestOf(content), Size: int64(len(content))}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, d.Digest.String()) {
			complain(w, http.StatusNotFound, "BLOB_UNKNOWN", "nothing here")
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}), d
}

func randomBytes(t *testing.T, size int64) []byte {
	t.Helper()
	return layerBytes(t, randomLayer(t, size))
}

// Faults that go away are survived, and the layer is the right one.
func TestPullSurvives(t *testing.T) {
	content := randomBytes(t, 2<<20)
	next, d := blobServer(content)
	for _, c := range []struct {
		name  string
		spoil func(*testRegistry)
	}{
		{"n-503", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", 2, respond(http.StatusServiceUnavailable)) }},
		{"n-500-burst", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", 4, respond(http.StatusInternalServerError)) }},
		{"n-429", func(r *testRegistry) {
			r.on(http.MethodGet, "/blobs/", 1, respond(http.StatusTooManyRequests, "Retry-After", "0"))
		}},
		{"n-reset", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", 1, hangUp(next, 1<<20)) }},
		{"n-reset-early", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", 1, hangUp(next, 0)) }},
		{"n-reset-often", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", 20, hangUp(next, 300<<10)) }},
		{"n-cut", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", 1, cut(next, 1<<20)) }},
		{"n-slow", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", 1, drip(next, 20, 20*time.Millisecond)) }},
		{"n-no-range", func(r *testRegistry) {
			r.on(http.MethodGet, "/blobs/", 1, hangUp(next, 1<<20))
			r.on(http.MethodGet, "/blobs/", always, withoutRange(next))
		}},
		{"n-416", func(r *testRegistry) {
			r.on(http.MethodGet, "/blobs/", 1, hangUp(next, 1<<20))
			r.on(http.MethodGet, "/blobs/", 1, respond(http.StatusRequestedRangeNotSatisfiable))
		}},
		{"n-redirect", func(r *testRegistry) {
			storage := httptest.NewServer(next)
			r.t.Cleanup(storage.Close)
			r.on(http.MethodGet, "/v2/", always, respond(http.StatusTemporaryRedirect, "Location", storage.URL+"/x/"+d.Digest.String()))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t, next)
			c.spoil(r)
			if got := layerBytes(t, pulled(t, r, impatient(), d)); !bytes.Equal(got, content) {
				t.Errorf("got %d other bytes", len(got))
			}
		})
	}
}

// cut ends the answer cleanly after n bytes, although its length says otherwise.
func cut(next http.Handler, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer func() { _ = conn.Close() }()
		fmt.Fprintf(rw, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", rec.Body.Len())
		_, _ = rw.Write(rec.Body.Bytes()[:n])
		_ = rw.Flush()
	}
}

// drip sends the answer in pieces, with a pause before each.
func drip(next http.Handler, pieces int, pause time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
		w.WriteHeader(rec.Code)
		_ = http.NewResponseController(w).Flush()
		for rec.Body.Len() > 0 {
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				return
			}
			if _, err := w.Write(rec.Body.Next((1 << 20) / pieces * 2)); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	}
}

func withoutRange(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		next.ServeHTTP(w, r)
	}
}

// An interrupted download goes on where it stopped.
func TestPullResumes(t *testing.T) {
	content := randomBytes(t, 2<<20)
	next, d := blobServer(content)
	r := newRegistry(t, next)
	r.on(http.MethodGet, "/blobs/", 1, hangUp(next, 1<<20))
	var ranges []string
	r.on(http.MethodGet, "/blobs/", always, func(w http.ResponseWriter, req *http.Request) {
		ranges = append(ranges, req.Header.Get("Range"))
		next.ServeHTTP(w, req)
	})
	layerBytes(t, pulled(t, r, impatient(), d))
	if want := fmt.Sprintf("bytes=%d-%d", 1<<20, d.Size-1); len(ranges) != 1 || ranges[0] != want {
		t.Errorf("got %q, want %q", ranges, want)
	}
}

// Faults that stay are an error that says what happened.
func TestPullFails(t *testing.T) {
	content := randomBytes(t, 1<<20)
	next, d := blobServer(content)
	for _, c := range []struct {
		name  string
		spoil func(*testRegistry)
		want  string
		tries int
	}{
		{"n-500-always", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", always, respond(500)) }, "500 Internal Server Error: TEST: status 500", 5},
		{"n-404-blob", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", always, respond(404)) }, "404 Not Found", 1},
		{"n-400", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", always, respond(400)) }, "400 Bad Request", 1},
		{"n-403", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", always, respond(403)) }, "there are no credentials for 127.0.0.1", 1},
		{"n-reset-always", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", always, hangUp(next, 10)) }, "reading " + d.Digest.String(), 5},
		{"n-redirect-loop", func(r *testRegistry) {
			r.on(http.MethodGet, "/blobs/", always, func(w http.ResponseWriter, req *http.Request) {
				http.Redirect(w, req, req.URL.Path, http.StatusTemporaryRedirect)
			})
		}, "gave up after 10 redirects", 11},
		{"n-html", func(r *testRegistry) {
			r.on(http.MethodGet, "/blobs/", always, respond(502, "Content-Type", "text/html; charset=utf-8"))
		}, "the answer is a web page", 5},
		{"n-html-200", func(r *testRegistry) {
			r.on(http.MethodGet, "/blobs/", always, respond(200, "Content-Type", "text/html"))
		}, "bytes and not", 1},
		{"n-not-http", func(r *testRegistry) { r.on(http.MethodGet, "/blobs/", always, notHTTP) }, "malformed HTTP", 5},
		{"n-retry-after-long", func(r *testRegistry) {
			r.on(http.MethodGet, "/blobs/", always, respond(429, "Retry-After", "3600"))
		}, "try again after 1h0m0s", 1},
		{"n-206-elsewhere", func(r *testRegistry) {
			r.on(http.MethodGet, "/blobs/", 1, hangUp(next, 1000))
			r.on(http.MethodGet, "/blobs/", always, respond(206, "Content-Range", "bytes 5-10/1000"))
		}, "the registry sent byte 5 of 1000", 2},
		{"n-206-nonsense", func(r *testRegistry) {
			r.on(http.MethodGet, "/blobs/", 1, hangUp(next, 1000))
			r.on(http.MethodGet, "/blobs/", always, respond(206, "Content-Range", "pages 5"))
		}, "unintelligible Content-Range", 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t, next)
			c.spoil(r)
			_, err := readLayer(pulled(t, r, impatient(), d))
			wantError(t, err, c.want)
			if n := r.count("GET"); n > c.tries {
				t.Errorf("it was tried %d times, want at most %d", n, c.tries)
			}
		})
	}
}

func notHTTP(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.9\r\n"))
	_ = conn.Close()
}

// n-stall: what stands still once is asked for again.
func TestPullStalls(t *testing.T) {
	content := randomBytes(t, 1<<20)
	next, d := blobServer(content)
	r := newRegistry(t, next)
	r.on(http.MethodGet, "/blobs/", 1, drip(next, 2, time.Minute))
	if got := layerBytes(t, pulled(t, r, hasty(), d)); !bytes.Equal(got, content) {
		t.Errorf("got %d other bytes", len(got))
	}
}

// A stall is an error that says so, after as many tries as others.
func TestPullStallsAlways(t *testing.T) {
	next, d := blobServer(randomBytes(t, 1<<20))
	r := newRegistry(t, next)
	r.on(http.MethodGet, "/blobs/", always, drip(next, 2, time.Minute))
	_, err := readLayer(pulled(t, r, hasty(), d))
	wantError(t, err, "nothing has moved between here and "+r.host+" for 500ms")
}

// n-429: the wait that is asked for is kept.
func TestRetryAfter(t *testing.T) {
	next, d := blobServer([]byte("x"))
	r := newRegistry(t, next)
	r.on(http.MethodGet, "/blobs/", 1, respond(http.StatusTooManyRequests, "Retry-After", "1"))
	start := time.Now()
	layerBytes(t, pulled(t, r, impatient(), d))
	if took := time.Since(start); took < time.Second {
		t.Errorf("it was asked again after %s", took)
	}
}

// No more blobs than allowed move at once, and a reader that is closed makes room.
func TestConnections(t *testing.T) {
	next, d := blobServer(randomBytes(t, 100<<10))
	r := newRegistry(t, next)
	c := impatient()
	c.Connections = 2
	client := newClient(t, c)
	open := func() io.ReadCloser {
		rc, err := client.Layer(t.Context(), r.repo("app"), d, d.Digest).Compressed()
		if err != nil {
			t.Fatal(err)
		}
		return rc
	}
	first, second, third := open(), open(), open()
	for _, rc := range []io.Reader{first, second} {
		if _, err := rc.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, third)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("a third blob was read: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
	second.Close()
}

func TestPullIsCancelled(t *testing.T) {
	next, d := blobServer(randomBytes(t, 1<<20))
	r := newRegistry(t, next)
	r.on(http.MethodGet, "/blobs/", always, drip(next, 2, time.Minute))
	ctx, cancel := context.WithCancel(t.Context())
	rc, err := newClient(t, Config{}).Layer(ctx, r.repo("app"), d, d.Digest).Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := io.ReadAll(rc); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestProgress(t *testing.T) {
	next, d := blobServer(randomBytes(t, 1<<20))
	r := newRegistry(t, next)
	var mu sync.Mutex
	var what string
	var current, total int64
	c := impatient()
	c.Progress = func(w string, n, m int64) {
		mu.Lock()
		defer mu.Unlock()
		what, current, total = w, n, m
	}
	layerBytes(t, pulled(t, r, c, d))
	if current != d.Size || total != d.Size || !strings.HasPrefix(what, "pulling "+r.host+"/app@sha256:") {
		t.Errorf("got %s %d %d", what, current, total)
	}
}

func TestRefusedConnectionIsNotRetried(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	repo, err := name.NewRepository(address + "/app")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := Config{Retry: httpclient.Retry{Min: time.Hour, Max: time.Hour}}
	_, err = newClient(t, c).Resolve(ctx, repo.Tag("v1"), anyOf)
	wantError(t, err, "connection refused")
}

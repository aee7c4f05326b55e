package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/httpclient"
)

// fault answers a request in place of the registry, or returns false to let it through.
type fault func(w http.ResponseWriter, r *http.Request) bool

// testRegistry is a registry on this machine that can be made to misbehave.
type testRegistry struct {
	*httptest.Server
	t    *testing.T
	host string

	mu     sync.Mutex
	faults []fault
	seen   []string
}

// newRegistry serves next, a registry of ours if it is nil.
func newRegistry(t *testing.T, next http.Handler) *testRegistry {
	t.Helper()
	if next == nil {
		var err error
		if next, err = Handler(t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	r := &testRegistry{t: t}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.misbehave(w, req) {
			next.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(r.Close)
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.host = u.Host
	return r
}

func (r *testRegistry) misbehave(w http.ResponseWriter, req *http.Request) bool {
	r.mu.Lock()
	r.seen = append(r.seen, req.Method+" "+req.URL.Path)
	faults := slices.Clone(r.faults)
	r.mu.Unlock()
	for _, f := range faults {
		if f(w, req) {
			return true
		}
	}
	return false
}

// on makes f answer requests with the method whose path contains part, but not more than times of them.
func (r *testRegistry) on(method, part string, times int, f http.HandlerFunc) {
	var n int
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != method || !strings.Contains(req.URL.Path, part) {
			return false
		}
		r.mu.Lock()
		n++
		hit := n <= times
		r.mu.Unlock()
		if hit {
			f(w, req)
		}
		return hit
	})
}

// always is more often than any test asks.
const always = 1 << 20

// requests returns what was asked since the last call, as "METHOD PATH".
func (r *testRegistry) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

func (r *testRegistry) count(prefix string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, s := range r.seen {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

func (r *testRegistry) repo(path string) name.Repository {
	repo, err := name.NewRepository(r.host + "/" + path)
	if err != nil {
		r.t.Fatal(err)
	}
	return repo
}

func (r *testRegistry) tag(path string) name.Tag {
	tag, err := name.NewTag(r.host + "/" + path)
	if err != nil {
		r.t.Fatal(err)
	}
	return tag
}

// fill puts an image with random layers under a tag, with another implementation than ours.
func (r *testRegistry) fill(path string, size int64, layers int) v1.Image {
	r.t.Helper()
	img, err := random.Image(size, int64(layers))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := remote.Write(r.tag(path), img); err != nil {
		r.t.Fatal(err)
	}
	r.requests()
	return img
}

// impatient is a configuration with which faults do not take long.
func impatient() Config {
	return Config{Retry: httpclient.Retry{Min: time.Millisecond, Max: 4 * time.Millisecond}}
}

// hasty is like impatient, and does not wait for what stands still. A busy machine may seem to.
func hasty() Config {
	c := impatient()
	c.Timeouts.Idle, c.Timeouts.Header = 500*time.Millisecond, 500*time.Millisecond
	return c
}

func newClient(t *testing.T, c Config) *Client {
	t.Helper()
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// anyOf chooses the first entry.
func anyOf(x *v1.IndexManifest) (v1.Descriptor, error) { return x.Manifests[0], nil }

// status answers with a status and headers, given as name and value in turn.
func respond(status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":"TEST","message":"status %d"}]}`, status)
	}
}

// hangUp closes the connection with a reset after n bytes of the answer that next gives.
func hangUp(next http.Handler, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		body := rec.Body.Bytes()
		_, _ = w.Write(body[:min(n, len(body))])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func readLayer(l v1.Layer) ([]byte, error) {
	rc, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

func layerBytes(t *testing.T, l v1.Layer) []byte {
	t.Helper()
	b, err := readLayer(l)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func resolve(t *testing.T, c *Client, ref name.Reference) *Image {
	t.Helper()
	img, err := c.Resolve(t.Context(), ref, anyOf)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// wantError checks that an error has all of the words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there was no error, want one with %q", words)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want %q in it", err, w)
		}
	}
}

// blobs is a registry that only knows how to answer GET and HEAD from a map of paths below /v2/app/.
type fixed map[string]fixedAnswer

type fixedAnswer struct {
	media string
	body  []byte
}

func (f fixed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := f[strings.TrimPrefix(r.URL.Path, "/v2/app/")]
	if !ok {
		complain(w, http.StatusNotFound, "NOT_FOUND", "nothing here")
		return
	}
	w.Header().Set("Content-Type", a.media)
	w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	if r.Method == http.MethodHead {
		w.Header().Set("Docker-Content-Digest", digestOf(a.body).String())
		return
	}
	_, _ = w.Write(a.body)
}

// blob adds content under its digest.
func (f fixed) blob(content []byte) v1.Descriptor {
	d := digestOf(content)
	f["blobs/"+d.String()] = fixedAnswer{"application/octet-stream", content}
	return v1.Descriptor{MediaType: types.OCILayer, Digest: d, Size: int64(len(content))}
}

// manifest adds a manifest under its digest and under the tag latest.
func (f fixed) manifest(media types.MediaType, content []byte) v1.Descriptor {
	d := digestOf(content)
	f["manifests/"+d.String()] = fixedAnswer{string(media), content}
	f["manifests/latest"] = fixedAnswer{string(media), content}
	return v1.Descriptor{MediaType: media, Digest: d, Size: int64(len(content))}
}

func digestOf(b []byte) v1.Hash {
	h, _, err := v1.SHA256(bytes.NewReader(b))
	if err != nil {
		panic(err)
	}
	return h
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// bytesLayer is a layer with random content of a size.
func randomLayer(t *testing.T, size int64) v1.Layer {
	t.Helper()
	l, err := random.Layer(size, types.OCILayer)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// staticLayer is a layer with the given bytes as its blob.
func staticLayer(content []byte) v1.Layer { return static.NewLayer(content, types.OCILayer) }

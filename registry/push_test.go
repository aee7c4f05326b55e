package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// smallChunks is small enough for tests to need many.
const smallChunks = 64 << 10

func newPusher(t *testing.T, r *testRegistry, c Config) *Pusher {
	t.Helper()
	client := newClient(t, c)
	client.chunk = smallChunks
	p, err := client.Pusher(r.repo("app"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pushImage pushes all of an image, the way an exporter does.
func pushImage(ctx context.Context, p *Pusher, img v1.Image, tags ...string) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	config, err := partial.ConfigLayer(img)
	if err != nil {
		return err
	}
	for _, l := range append(layers, config) {
		if err := p.Layer(ctx, l); err != nil {
			return err
		}
	}
	raw, err := img.RawManifest()
	if err != nil {
		return err
	}
	media, err := img.MediaType()
	if err != nil {
		return err
	}
	return p.Manifest(ctx, media, raw, tags...)
}

func testImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(300<<10, 2)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// wantPushed checks from the registry's side, with another client, that a tag has the image.
func wantPushed(t *testing.T, r *testRegistry, want v1.Image, tag string) {
	t.Helper()
	r.mu.Lock()
	r.faults = nil
	r.mu.Unlock()
	got, err := remote.Image(r.tag("app:" + tag))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(got); err != nil {
		t.Error(err)
	}
	gotDigest, _ := got.Digest()
	wantDigest, _ := want.Digest()
	if gotDigest != wantDigest {
		t.Errorf("got %s, want %s", gotDigest, wantDigest)
	}
}

// p-ok, against our registry and against go-containerregistry's.
func TestPush(t *testing.T) {
	for _, h := range []http.Handler{nil, ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))} {
		r := newRegistry(t, h)
		img := testImage(t)
		p := newPusher(t, r, impatient())
		if err := p.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := pushImage(t.Context(), p, img, "v1", "v2"); err != nil {
			t.Fatal(err)
		}
		wantPushed(t, r, img, "v1")
		wantPushed(t, r, img, "v2")
	}
}

// Faults that go away are survived, and every digest is right in the registry.
func TestPushSurvives(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*testRegistry)
	}{
		{"p-503", func(r *testRegistry) {
			for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodPut} {
				r.on(method, "/blobs/", 2, respond(http.StatusServiceUnavailable))
			}
		}},
		{"p-503-manifest", func(r *testRegistry) { r.on(http.MethodPut, "/manifests/", 2, respond(http.StatusServiceUnavailable)) }},
		{"p-429", func(r *testRegistry) {
			r.on(http.MethodPatch, "/blobs/", 1, respond(http.StatusTooManyRequests, "Retry-After", "0"))
		}},
		{"p-reset", func(r *testRegistry) { r.on(http.MethodPatch, "/blobs/", 4, resetUpload(10<<10, nil)) }},
		{"p-reset-put", func(r *testRegistry) { r.on(http.MethodPut, "/blobs/", 2, resetUpload(0, nil)) }},
		{"p-stall", func(r *testRegistry) { r.on(http.MethodPatch, "/blobs/", 1, stallUpload) }},
		{"p-forgotten", func(r *testRegistry) { r.on(http.MethodPatch, "/blobs/", 1, respond(http.StatusNotFound)) }},
		{"p-chunks-refused", func(r *testRegistry) { r.on(http.MethodPatch, "/blobs/", always, respond(http.StatusMethodNotAllowed)) }},
		{"p-416", func(r *testRegistry) {
			r.on(http.MethodPatch, "/blobs/", 1, respond(http.StatusRequestedRangeNotSatisfiable))
		}},
		{"p-no-progress-report", func(r *testRegistry) {
			r.on(http.MethodPatch, "/blobs/", 1, resetUpload(10<<10, nil))
			r.on(http.MethodGet, "/blobs/uploads/", always, respond(http.StatusNotFound))
		}},
		{"p-head-405", func(r *testRegistry) { r.on(http.MethodHead, "/", always, respond(http.StatusMethodNotAllowed)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t, nil)
			c.spoil(r)
			img := testImage(t)
			if err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1"); err != nil {
				t.Fatal(err)
			}
			wantPushed(t, r, img, "v1")
		})
	}
}

// resetUpload reads n bytes of a request, gives them to next, and hangs up.
func resetUpload(n int64, next http.Handler) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		part, _ := io.ReadAll(io.LimitReader(r.Body, n))
		if next != nil {
			r.Body = io.NopCloser(bytes.NewReader(part))
			next.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler)
	}
}

// stallUpload does not read the request, for longer than the client of a test waits.
func stallUpload(http.ResponseWriter, *http.Request) {
	<-time.After(time.Second)
	panic(http.ErrAbortHandler)
}

// p-chunk-resume: an upload that is interrupted goes on behind what the registry has.
func TestPushResumes(t *testing.T) {
	h, err := Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := newRegistry(t, h)
	r.on(http.MethodPatch, "/blobs/", 1, h.ServeHTTP)
	r.on(http.MethodPatch, "/blobs/", 1, resetUpload(10<<10, h))
	var ranges []string
	r.on(http.MethodPatch, "/blobs/", always, func(w http.ResponseWriter, req *http.Request) {
		ranges = append(ranges, req.Header.Get("Content-Range"))
		h.ServeHTTP(w, req)
	})
	l := &countedLayer{Layer: randomLayer(t, 200<<10)}
	if err := newPusher(t, r, impatient()).Layer(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d-%d", 74<<10, 74<<10+smallChunks-1); ranges[0] != want {
		t.Errorf("it went on with %s, want %s", ranges[0], want)
	}
	if n := r.count("POST"); n != 1 {
		t.Errorf("%d uploads were begun", n)
	}
}

// countedLayer counts how often a layer is read.
type countedLayer struct {
	v1.Layer
	opened atomic.Int32
}

func (l *countedLayer) Compressed() (io.ReadCloser, error) {
	l.opened.Add(1)
	return l.Layer.Compressed()
}

// The chunks of an upload are read in one go.
func TestChunksAreReadOnce(t *testing.T) {
	r := newRegistry(t, nil)
	l := &countedLayer{Layer: randomLayer(t, 300<<10)}
	if err := newPusher(t, r, impatient()).Layer(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if n := r.count("PATCH"); n != 5 || l.opened.Load() != 1 {
		t.Errorf("%d chunks from a layer opened %d times", n, l.opened.Load())
	}
}

// Faults that stay are an error, and the tag does not exist.
func TestPushFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*testRegistry)
		want  string
	}{
		{"p-500-always", func(r *testRegistry) { r.on(http.MethodPost, "/blobs/", always, respond(500)) }, "500 Internal"},
		{"p-500-patch-always", func(r *testRegistry) { r.on(http.MethodPatch, "/blobs/", always, respond(500)) }, "500 Internal"},
		{"p-reset-always", func(r *testRegistry) { r.on(http.MethodPut, "/blobs/", always, resetUpload(0, nil)) }, "EOF"},
		{"p-denied", func(r *testRegistry) { r.on(http.MethodPost, "/blobs/", always, respond(403)) }, "403 Forbidden"},
		{"p-denied-put", func(r *testRegistry) { r.on(http.MethodPut, "/blobs/", always, respond(401)) }, "401 Unauthorized"},
		{"p-manifest-400", func(r *testRegistry) { r.on(http.MethodPut, "/manifests/", always, respond(400)) }, "pushing tag v1 to "},
		{"p-digest-lie", func(r *testRegistry) {
			r.on(http.MethodPut, "/manifests/", always, respond(201, "Docker-Content-Digest", "sha256:0"))
		}, "the registry has stored sha256:0"},
		{"p-no-location", func(r *testRegistry) { r.on(http.MethodPost, "/blobs/", always, respond(202)) }, "does not say where to upload"},
		{"p-no-bytes", func(r *testRegistry) {
			r.on(http.MethodPatch, "/blobs/", always, respond(202, "Range", "0-0"))
		}, "has taken nothing"},
		{"p-location-file", func(r *testRegistry) {
			r.on(http.MethodPost, "/blobs/", always, respond(202, "Location", "file:///etc/passwd"))
		}, `scheme "file"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t, nil)
			c.spoil(r)
			err := pushImage(t.Context(), newPusher(t, r, impatient()), testImage(t), "v1")
			wantError(t, err, "pushing", r.host+"/app", c.want)
			r.faults = nil
			if _, err := remote.Head(r.tag("app:v1")); err == nil {
				t.Errorf("the tag exists")
			}
		})
	}
}

// p-token: tokens that die in the middle of an upload.
func TestPushToken(t *testing.T) {
	for _, lives := range []int{5, 1} {
		r := newRegistry(t, nil)
		s := newTokenServer(t, lives)
		s.protect(r)
		c := impatient()
		c.Keychain = userOf(r)
		img := testImage(t)
		if err := pushImage(t.Context(), newPusher(t, r, c), img, "v1"); err != nil {
			t.Fatal(err)
		}
		wantPushed(t, r, img, "v1")
	}
}

// p-location: a location on another host gets the bytes, if it must be, but no credentials.
func TestPushLocationElsewhere(t *testing.T) {
	h, err := Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, storage := newRegistry(t, h), newRegistry(t, h)
	s := newTokenServer(t, always)
	s.protect(r)
	var leaked []string
	storage.faults = append(storage.faults, func(_ http.ResponseWriter, req *http.Request) bool {
		if v := req.Header.Get("Authorization"); v != "" {
			leaked = append(leaked, v)
		}
		return false
	})
	r.faults = append(r.faults, func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost {
			return false
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		w.Header().Set("Location", storage.URL+rec.Header().Get("Location"))
		w.WriteHeader(rec.Code)
		return true
	})
	c := impatient()
	c.Keychain = userOf(r)
	img := testImage(t)
	if err := pushImage(t.Context(), newPusher(t, r, c), img, "v1"); err != nil {
		t.Fatal(err)
	}
	wantPushed(t, r, img, "v1")
	if len(leaked) > 0 || storage.count("P") == 0 {
		t.Errorf("the other host got %q in %d requests", leaked, storage.count("P"))
	}
}

// A blob is sent once, however often and by whomever it is pushed.
func TestBlobsAreJoined(t *testing.T) {
	r := newRegistry(t, nil)
	p := newPusher(t, r, impatient())
	l := &countedLayer{Layer: randomLayer(t, 100<<10)}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := p.Layer(t.Context(), l); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if heads, posts := r.count("HEAD"), r.count("POST"); heads != 1 || posts != 1 || l.opened.Load() != 1 {
		t.Errorf("got %d HEAD, %d POST, read %d times", heads, posts, l.opened.Load())
	}
	r.requests()
	if err := newPusher(t, r, impatient()).Layer(t.Context(), l); err != nil {
		t.Error(err)
	}
	if got := r.requests(); len(got) != 1 {
		t.Errorf("a blob that is there cost %q", got)
	}
}

// The same digest under the tag is a success without a PUT, so an immutable tag can be pushed again.
func TestSameDigestIsNotPut(t *testing.T) {
	r := newRegistry(t, nil)
	img := testImage(t)
	if err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1"); err != nil {
		t.Fatal(err)
	}
	r.on(http.MethodPut, "/manifests/", always, respond(http.StatusBadRequest))
	if err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1"); err != nil {
		t.Error(err)
	}
	err := pushImage(t.Context(), newPusher(t, r, impatient()), testImage(t), "v1")
	wantError(t, err, "pushing tag v1 to "+r.host+"/app", "400")
}

// p-race: a blob that was there when it was asked for and is not when the manifest comes is sent again, once.
func TestBlobGoneBeforeManifest(t *testing.T) {
	r := newRegistry(t, nil)
	img := testImage(t)
	r.on(http.MethodHead, "/blobs/", 1, respond(http.StatusOK))
	if err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1"); err != nil {
		t.Fatal(err)
	}
	if n := r.count("PUT /v2/app/manifests/"); n != 2 {
		t.Errorf("the manifest was put %d times", n)
	}
	wantPushed(t, r, img, "v1")

	r = newRegistry(t, nil)
	r.on(http.MethodPut, "/manifests/", always, func(w http.ResponseWriter, _ *http.Request) {
		complain(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", "gone")
	})
	err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1")
	wantError(t, err, "MANIFEST_BLOB_UNKNOWN")
	if n := r.count("PUT /v2/app/manifests/"); n != 2 {
		t.Errorf("the manifest was put %d times", n)
	}
}

// perRepository makes a blob exist only in repositories that it was pushed to or mounted in.
type perRepository struct {
	next http.Handler
	// refuse makes every mount begin an upload instead; reject makes it an error.
	refuse, reject bool

	mu   sync.Mutex
	have map[string]bool
}

func (h *perRepository) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.answer(w, r) {
		h.next.ServeHTTP(w, r)
	}
}

func (h *perRepository) answer(w http.ResponseWriter, r *http.Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	repo, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/blobs/")
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("mount"):
		if h.reject {
			complain(w, http.StatusForbidden, "DENIED", "no mounts")
			return true
		}
		if h.refuse || !h.have[q.Get("from")+"@"+q.Get("mount")] {
			r.URL.RawQuery = ""
			break
		}
		h.have[repo+"@"+q.Get("mount")] = true
	case r.Method == http.MethodPut && q.Has("digest"):
		h.have[repo+"@"+q.Get("digest")] = true
	case r.Method == http.MethodHead && strings.HasPrefix(rest, "sha256:") && !h.have[repo+"@"+rest]:
		complain(w, http.StatusNotFound, "BLOB_UNKNOWN", "not here")
		return true
	}
	return false
}

func newPerRepository(t *testing.T) (*perRepository, *testRegistry) {
	t.Helper()
	next, err := Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &perRepository{next: next, have: map[string]bool{}}
	return h, newRegistry(t, h)
}

// wrapped hides where a layer comes from behind another type.
type wrapped struct{ v1.Layer }

func (w wrapped) Unwrap() v1.Layer { return w.Layer }

// A layer of the same registry is mounted and not moved, even if it is wrapped.
func TestMount(t *testing.T) {
	_, r := newPerRepository(t)
	base := r.fill("base:v1", 100<<10, 2)
	client := newClient(t, impatient())
	p, err := client.Pusher(r.repo("app"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range resolve(t, client, r.tag("base:v1")).Layers(t.Context()) {
		if err := p.Layer(t.Context(), wrapped{wrapped{l}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range r.requests() {
		if strings.HasPrefix(s, "GET /v2/base/blobs/sha256") && !strings.Contains(s, configOf(t, base)) || strings.HasPrefix(s, "P") && !strings.HasPrefix(s, "POST") {
			t.Errorf("bytes were moved: %s", s)
		}
	}
	if err := pushImage(t.Context(), p, base, "v1"); err != nil {
		t.Fatal(err)
	}
	wantPushed(t, r, base, "v1")
}

func configOf(t *testing.T, img v1.Image) string {
	t.Helper()
	h, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// p-mount: a mount that is refused, one way or the other, becomes an upload from where the layer is.
func TestMountRefused(t *testing.T) {
	for _, reject := range []bool{false, true} {
		h, r := newPerRepository(t)
		base := r.fill("base:v1", 100<<10, 1)
		h.refuse, h.reject = !reject, reject
		client := newClient(t, impatient())
		client.chunk = smallChunks
		p, err := client.Pusher(r.repo("app"))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range resolve(t, client, r.tag("base:v1")).Layers(t.Context()) {
			if err := p.Layer(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		if err := pushImage(t.Context(), p, base, "v1"); err != nil {
			t.Fatal(err)
		}
		wantPushed(t, r, base, "v1")
	}
}

// A blob that was just pushed to one repository is mounted in the next one of the same registry.
func TestSecondRepositoryIsMounted(t *testing.T) {
	_, r := newPerRepository(t)
	client := newClient(t, impatient())
	l := &countedLayer{Layer: randomLayer(t, 1000)}
	for _, repo := range []string{"a", "b", "c"} {
		p, err := client.Pusher(r.repo(repo))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Layer(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.opened.Load(); n != 1 {
		t.Errorf("the layer was read %d times", n)
	}
}

// A layer from another registry streams through, and is taken up again where its download breaks.
func TestPushFromAnotherRegistry(t *testing.T) {
	from, to := newRegistry(t, nil), newRegistry(t, nil)
	img := from.fill("base:v1", 500<<10, 2)
	client := newClient(t, impatient())
	client.chunk = smallChunks
	p, err := client.Pusher(to.repo("app"))
	if err != nil {
		t.Fatal(err)
	}
	base := resolve(t, client, from.tag("base:v1"))
	to.on(http.MethodPatch, "/blobs/", 2, resetUpload(1000, nil))
	for _, l := range base.Layers(t.Context()) {
		if err := p.Layer(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	if err := pushImage(t.Context(), p, img, "v1"); err != nil {
		t.Fatal(err)
	}
	wantPushed(t, to, img, "v1")
}

// lyingLayer has other bytes than its digest says, for as many times as it is told.
type lyingLayer struct {
	v1.Layer
	lies  int
	spoil func([]byte) []byte
}

func (l *lyingLayer) Compressed() (io.ReadCloser, error) {
	rc, err := l.Layer.Compressed()
	if l.lies--; err != nil || l.lies < 0 {
		return rc, err
	}
	b, err := io.ReadAll(rc)
	return io.NopCloser(bytes.NewReader(l.spoil(b))), err
}

// What does not hash to the layer's digest never becomes a blob; a second reading may be better.
func TestPushChecksDigest(t *testing.T) {
	spoil := map[string]func([]byte) []byte{
		"other":   func(b []byte) []byte { b[10] ^= 1; return b },
		"shorter": func(b []byte) []byte { return b[:len(b)-1] },
		"longer":  func(b []byte) []byte { return append([]byte{0}, b...) },
	}
	for name, f := range spoil {
		for _, size := range []int64{1000, 200 << 10} {
			r := newRegistry(t, nil)
			l := &lyingLayer{Layer: randomLayer(t, size), lies: 2, spoil: f}
			err := newPusher(t, r, impatient()).Layer(t.Context(), l)
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: got %v, want ErrCorrupt", name, err)
			}
			digest, _ := l.Digest()
			if _, err := remote.Layer(r.repo("app").Digest(digest.String())); err == nil {
				if there, _ := newPusher(t, r, impatient()).to.has(t.Context(), digest); there {
					t.Errorf("%s: the blob is there", name)
				}
			}
			l.lies = 1
			if err := newPusher(t, r, impatient()).Layer(t.Context(), l); err != nil {
				t.Errorf("%s: the second reading was right, but %v", name, err)
			}
		}
	}
}

// A layer that cannot be read is not the registry's fault, so nothing is tried again.
func TestPushUnreadableLayer(t *testing.T) {
	r := newRegistry(t, nil)
	err := newPusher(t, r, impatient()).Layer(t.Context(), unreadable{randomLayer(t, 1000)})
	wantError(t, err, "no such disk")
	if n := r.count("POST"); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
}

type unreadable struct{ v1.Layer }

func (unreadable) Compressed() (io.ReadCloser, error) { return nil, errors.New("no such disk") }

func TestEmptyLayerIsPushed(t *testing.T) {
	r := newRegistry(t, nil)
	if err := newPusher(t, r, impatient()).Layer(t.Context(), staticLayer(nil)); err != nil {
		t.Error(err)
	}
}

// p-partial-index: what an index needs and does not have keeps its tag from moving.
func TestPartialIndex(t *testing.T) {
	r := newRegistry(t, nil)
	p := newPusher(t, r, impatient())
	first, second := testImage(t), testImage(t)
	if err := pushImage(t.Context(), p, first); err != nil {
		t.Fatal(err)
	}
	var entries []v1.Descriptor
	for _, img := range []v1.Image{first, second} {
		d, err := partial.Descriptor(img)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, *d)
	}
	raw := mustJSON(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: entries})
	err := p.Manifest(t.Context(), types.OCIImageIndex, raw, "v1")
	wantError(t, err, "pushing tag v1 to")
	if _, err := remote.Head(r.tag("app:v1")); err == nil {
		t.Errorf("the tag exists")
	}
	if err := pushImage(t.Context(), p, second); err != nil {
		t.Fatal(err)
	}
	if err := p.Manifest(t.Context(), types.OCIImageIndex, raw, "v1"); err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(r.tag("app:v1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
}

// A tag that was pushed is resolved anew by the same client.
func TestPushedTagIsResolvedAnew(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 10, 1)
	p := newPusher(t, r, impatient())
	resolve(t, p.to.client, r.tag("app:v1"))
	img := testImage(t)
	if err := pushImage(t.Context(), p, img, "v1"); err != nil {
		t.Fatal(err)
	}
	want, _ := img.Digest()
	if got := resolve(t, p.to.client, r.tag("app:v1")); got.Manifest.Descriptor.Digest != want {
		t.Errorf("got %s, want %s", got.Ref, want)
	}
}

func TestPushIsCancelled(t *testing.T) {
	r := newRegistry(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r.on(http.MethodPatch, "/blobs/", always, func(w http.ResponseWriter, req *http.Request) {
		cancel()
		stallUpload(w, req)
	})
	p := newPusher(t, r, Config{})
	p.to.client.chunk = smallChunks
	l := randomLayer(t, 200<<10)
	if err := p.Layer(ctx, l); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	r.faults = nil
	if err := p.Layer(t.Context(), l); err != nil {
		t.Errorf("a push that was cancelled cannot be done again: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		answer http.HandlerFunc
		want   []string
	}{
		{respond(http.StatusUnauthorized), []string{"checking write access to", "401", "log in to 127.0.0.1"}},
		{respond(http.StatusForbidden), []string{"403", "these credentials may not push there"}},
		{respond(http.StatusNotFound), []string{"404", "if the repository does not exist, create it"}},
		{respond(http.StatusInternalServerError), []string{"500"}},
	} {
		r := newRegistry(t, nil)
		r.on(http.MethodPost, "/blobs/", always, c.answer)
		wantError(t, newPusher(t, r, impatient()).Check(t.Context()), c.want...)
	}
	r := newRegistry(t, nil)
	if err := newPusher(t, r, impatient()).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.requests(); len(got) != 2 || !strings.HasPrefix(got[1], "DELETE /v2/app/blobs/uploads/") {
		t.Errorf("got %q", got)
	}
}

func TestCreateRepository(t *testing.T) {
	for _, c := range []struct{ registry, repository, want string }{
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "team/app", "aws ecr create-repository --region eu-west-1 --repository-name team/app"},
		{"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "app", "aws ecr create-repository --region us-gov-west-1 --repository-name app"},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "app", "aws ecr create-repository --region cn-north-1 --repository-name app"},
		{"123456789012.dkr-ecr.eu-west-1.on.aws", "app", "aws ecr create-repository --region eu-west-1 --repository-name app"},
		{"public.ecr.aws", "alias/team/app", "aws ecr-public create-repository --region us-east-1 --repository-name team/app"},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.com", "app", ""},
		{"123456789012xdkr.ecr.eu-west-1.amazonaws.com", "app", ""},
		{"ghcr.io", "app", ""},
	} {
		if got := createRepository(c.registry, c.repository); got != c.want {
			t.Errorf("%s: got %q, want %q", c.registry, got, c.want)
		}
	}
	repo, err := name.NewRepository("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app")
	if err != nil {
		t.Fatal(err)
	}
	if got := advice(repo, &StatusError{Status: 404}); !strings.HasSuffix(got, "create it: aws ecr create-repository --region eu-west-1 --repository-name app") {
		t.Errorf("got %q", got)
	}
}

func TestParseUploadRange(t *testing.T) {
	for in, want := range map[string]int64{"0-0": 0, "0-9": 10, "bytes=0-9": 10, "": -1, "5-9": -1, "0--1": -1, "0-x": -1, "0-99999999999999999999": -1} {
		got, err := parseUploadRange(in)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

// Every request has the user agent, and tokens are asked for both repositories of a mount.
func TestMountScopes(t *testing.T) {
	_, r := newPerRepository(t)
	r.fill("base:v1", 1000, 1)
	s := newTokenServer(t, always)
	s.protect(r)
	c := impatient()
	c.Keychain = userOf(r)
	client := newClient(t, c)
	p, err := client.Pusher(r.repo("app"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range resolve(t, client, r.tag("base:v1")).Layers(t.Context()) {
		if err := p.Layer(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	both := []string{"repository:app:pull,push", "repository:base:pull"}
	if !slices.ContainsFunc(slices.Collect(maps.Values(s.scopes)), func(have []string) bool { return slices.Equal(have, both) }) {
		t.Errorf("got %q", s.scopes)
	}
}

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
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
		{"p-forgotten", func(r *testRegistry) { r.on(http.MethodPatch, "/blobs/", 1, respond(http.StatusNotFound)) }},
		{"p-chunks-refused", func(r *testRegistry) { r.on(http.MethodPatch, "/blobs/", always, respond(http.StatusMethodNotAllowed)) }},
		{"p-second-chunk-refused", func(r *testRegistry) {
			r.on(http.MethodPatch, "/blobs/", 1, func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				w.Header().Set("Range", fmt.Sprintf("0-%d", smallChunks-1))
				w.WriteHeader(http.StatusAccepted)
			})
			r.on(http.MethodPatch, "/blobs/", always, respond(http.StatusBadRequest))
		}},
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

// stallUpload does not read the request, for as long as the test runs.
func stallUpload(t *testing.T) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) {
		<-t.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

// p-stall: what a registry does not read is sent again.
func TestPushStalls(t *testing.T) {
	r := newRegistry(t, nil)
	r.on(http.MethodPatch, "/blobs/", 1, stallUpload(t))
	img := testImage(t)
	if err := pushImage(t.Context(), newPusher(t, r, hasty()), img, "v1"); err != nil {
		t.Fatal(err)
	}
	wantPushed(t, r, img, "v1")
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

func TestPushIsCancelled(t *testing.T) {
	r := newRegistry(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r.on(http.MethodPatch, "/blobs/", always, func(w http.ResponseWriter, req *http.Request) {
		cancel()
		stallUpload(t)(w, req)
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

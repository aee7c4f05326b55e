package registry

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"
)

// The registry stores a manifest and fails; its tags cannot be moved, so it refuses the next try. What the tag stands
// for is what counts.
func TestManifestIsStoredAllTheSame(t *testing.T) {
	for name, answers := range map[string][]int{
		"refused":     {http.StatusInternalServerError, http.StatusBadRequest},
		"fails-on":    {500, 500, 500, 500, 500, 500, 500, 500, 500, 500},
		"wrong-state": {http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Handler(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			r := newRegistry(t, h)
			r.on(http.MethodPut, "/manifests/", len(answers), func(w http.ResponseWriter, req *http.Request) {
				h.ServeHTTP(httptest.NewRecorder(), req)
				w.WriteHeader(answers[0])
				answers = answers[1:]
			})
			img := testImage(t)
			if err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1"); err != nil {
				t.Fatal(err)
			}
			wantPushed(t, r, img, "v1")
		})
	}
}

// zipped compresses the answers of next, asked or not.
func zipped(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, req)
		var body bytes.Buffer
		z := gzip.NewWriter(&body)
		_, _ = z.Write(answer.Body.Bytes()) // of a buffer
		_ = z.Close()
		maps.Copy(w.Header(), answer.Header())
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", fmt.Sprint(body.Len()))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body.Bytes())
	}
}

// A proxy that compresses what it was not asked to compress is understood, and its damage noticed.
func TestCompressedManifest(t *testing.T) {
	h, err := Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := newRegistry(t, h)
	img := testImage(t)
	if err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1"); err != nil {
		t.Fatal(err)
	}
	r.on(http.MethodGet, "/manifests/", always, zipped(h))
	got, err := newClient(t, impatient()).Manifest(t.Context(), r.tag("app:v1"))
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := img.Digest(); got.Descriptor.Digest != want {
		t.Errorf("got %s, want %s", got.Descriptor.Digest, want)
	}
	r.faults = nil
	r.on(http.MethodGet, "/manifests/", always, respond(200, "Content-Encoding", "gzip", "Content-Type", string(got.Descriptor.MediaType)))
	_, err = newClient(t, impatient()).Manifest(t.Context(), r.repo("app").Digest(got.Descriptor.Digest.String()))
	wantError(t, err, "digest")
}

func TestGunzip(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 1<<20)) // of a buffer
	_ = z.Close()
	if _, err := gunzip(bomb.Bytes(), 1<<10); err == nil || !strings.Contains(err.Error(), "longer than the allowed 1024 bytes") {
		t.Errorf("got %v", err)
	}
	if _, err := gunzip(bomb.Bytes()[:100], 1<<20); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}

// A location may be relative to what was asked for.
func TestRelativeLocation(t *testing.T) {
	h, err := Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := newRegistry(t, h)
	relative := func(w http.ResponseWriter, req *http.Request) {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, req)
		at := answer.Header().Get("Location")
		maps.Copy(w.Header(), answer.Header())
		w.Header().Set("Location", path.Base(at))
		w.WriteHeader(answer.Code)
	}
	r.on(http.MethodPost, "/blobs/uploads/", always, relative)
	r.on(http.MethodPatch, "/blobs/uploads/", always, relative)
	img := testImage(t)
	if err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1"); err != nil {
		t.Fatal(err)
	}
	wantPushed(t, r, img, "v1")
}

// A registry that is asked how much it has may be wrong about it. Then the blob is sent from its beginning.
func TestResumeIsMisled(t *testing.T) {
	h, err := Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := newRegistry(t, h)
	r.on(http.MethodPatch, "/blobs/", 1, resetUpload(10<<10, h))
	r.on(http.MethodGet, "/blobs/uploads/", 1, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Location", req.URL.Path)
		w.Header().Set("Range", "0-199999999")
		w.WriteHeader(http.StatusNoContent)
	})
	if err := newPusher(t, r, impatient()).Layer(t.Context(), randomLayer(t, 200<<10)); err != nil {
		t.Fatal(err)
	}
	if n := r.count("POST"); n != 2 {
		t.Errorf("%d uploads were begun, want 2", n)
	}
}

// What takes longer than any time-out but never stands still arrives.
func TestSlowerThanTimeouts(t *testing.T) {
	next, d := blobServer(randomBytes(t, 1<<20))
	r := newRegistry(t, next)
	r.on(http.MethodGet, "/blobs/", always, drip(next, 50, 200*time.Millisecond))
	c := impatient()
	c.Timeouts.Idle, c.Timeouts.Header = 4*time.Second, 4*time.Second
	start := time.Now()
	layerBytes(t, pulled(t, r, c, d))
	if n := r.count("GET"); n != 1 {
		t.Errorf("it was asked for %d times", n)
	}
	if took := time.Since(start); took < c.Timeouts.Idle {
		t.Errorf("it took %s, which shows nothing", took)
	}
}

// A storage whose addresses are good for GET alone, and that HEAD is redirected to, does not keep a blob from being sent.
func TestHeadIsRedirected(t *testing.T) {
	r := newRegistry(t, nil)
	storage := newRegistry(t, respond(http.StatusForbidden))
	r.on(http.MethodHead, "/blobs/", always, respond(http.StatusTemporaryRedirect, "Location", storage.URL+"/x?signature=1"))
	img := testImage(t)
	if err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1"); err != nil {
		t.Fatal(err)
	}
	wantPushed(t, r, img, "v1")
	r.faults = nil
	r.on(http.MethodHead, "/blobs/", always, respond(http.StatusForbidden))
	err := pushImage(t.Context(), newPusher(t, r, impatient()), testImage(t), "v2")
	wantError(t, err, "403 Forbidden")
}

// A proxy that bounds requests, as nginx does at 1 MiB unless it is told otherwise, gets smaller ones.
func TestRequestsAreBounded(t *testing.T) {
	const most = 1 << 20
	for name, size := range map[string]int64{"in chunks": 10 << 20, "in one piece": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, nil)
			largest := int64(0)
			bounded := func(w http.ResponseWriter, req *http.Request) bool {
				if req.ContentLength > most {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					return true
				}
				largest = max(largest, req.ContentLength)
				return false
			}
			r.faults = append(r.faults, bounded)
			p := newPusher(t, r, impatient())
			p.to.client.chunk = 5 << 20
			l := randomLayer(t, size)
			if err := p.Layer(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			digest, _ := l.Digest()
			if there, err := p.to.has(t.Context(), digest); !there || err != nil {
				t.Errorf("the layer is not there: %v", err)
			}
			if largest < most/4 {
				t.Errorf("the largest request had %d bytes", largest)
			}
		})
	}
	r := newRegistry(t, nil)
	r.on(http.MethodPatch, "/blobs/", always, respond(http.StatusRequestEntityTooLarge))
	r.on(http.MethodPut, "/blobs/", always, respond(http.StatusRequestEntityTooLarge))
	err := newPusher(t, r, impatient()).Layer(t.Context(), randomLayer(t, 3<<20))
	wantError(t, err, "413 Request Entity Too Large")
}

package registry

import (
	"net/http"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

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

package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// What was pushed is there after a restart: images, indexes in indexes, tags and the list of them.
func TestServerRestarts(t *testing.T) {
	dir := t.TempDir()
	h, err := Handler(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRegistry(t, h)
	inner, err := random.Index(1000, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(r.tag("team/app:inner"), inner); err != nil {
		t.Fatal(err)
	}
	digest, _ := inner.Digest()
	size, _ := inner.Size()
	outer := mustJSON(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{{MediaType: types.OCIImageIndex, Digest: digest, Size: size}}})
	if got := r.put("/v2/team/app/manifests/0outer", string(types.OCIImageIndex), outer); got != http.StatusCreated {
		t.Fatalf("got status %d", got)
	}
	img := r.fill("team:app", 10, 1) // a repository and a directory of another one have the same name

	h, err = Handler(dir)
	if err != nil {
		t.Fatal(err)
	}
	r = newRegistry(t, h)
	index, err := remote.Index(r.tag("team/app:0outer"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	tags, err := remote.List(r.repo("team/app"))
	if err != nil || strings.Join(tags, " ") != "0outer inner" {
		t.Errorf("got %q, %v", tags, err)
	}
	got, err := remote.Image(r.tag("team:app"))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := img.Digest()
	if d, _ := got.Digest(); d != want {
		t.Errorf("got %s, want %s", d, want)
	}
	if err := remote.Delete(r.tag("team:app")); err != nil {
		t.Fatal(err)
	}
	if h, err = Handler(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(newRegistry(t, h).tag("team:app")); err == nil {
		t.Errorf("a tag that was deleted is back")
	}
}

// put sends a manifest and returns the status.
func (r *testRegistry) put(path, media string, body []byte) int {
	r.t.Helper()
	status, _ := r.send(http.MethodPut, path, body, "Content-Type", media)
	return status
}

func (r *testRegistry) send(method, path string, body []byte, headers ...string) (int, http.Header) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.URL+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

// What is not a manifest, or not complete, is not taken.
func TestServerRefuses(t *testing.T) {
	dir := t.TempDir()
	h, err := Handler(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRegistry(t, h)
	i := goodImage()
	i.finish(nil)
	good := i.f["manifests/latest"].body
	oci := string(types.OCIManifestSchema1)
	for _, c := range []struct {
		path, media string
		body        []byte
		want        int
	}{
		{"/v2/app/manifests/v1", oci, good, 400}, // its blobs are missing
		{"/v2/app/manifests/v1", oci, []byte("{}"), 400},
		{"/v2/app/manifests/v1", "text/plain", good, 400},
		{"/v2/app/manifests/v1", oci, bytes.Repeat([]byte(" "), 5<<20), 413},
		{"/v2/app/manifests/sha256:" + strings.Repeat("0", 64), oci, good, 400},
		{"/v2/app/manifests/..", oci, good, 400},
		{"/v2/app/manifests/%2e%2e", oci, good, 400},
		{"/v2/../../x/manifests/v1", oci, good, 400},
		{"/v2/App/manifests/v1", oci, good, 400},
		{"/v2/_refs/manifests/v1", oci, good, 400},
		{"/v2/app/blobs/uploads/..%2f..%2fx", oci, good, 400},
		{"/v2/app/blobs/uploads/0123?digest=sha256:" + strings.Repeat("0", 64), oci, good, 404},
	} {
		if got := r.put(c.path, c.media, c.body); got != c.want {
			t.Errorf("%s: got %d, want %d", c.path, got, c.want)
		}
	}
	entries, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	if len(entries) > 0 {
		t.Errorf("this was written: %q", entries)
	}
}

func TestServerUploads(t *testing.T) {
	dir := t.TempDir()
	h, err := Handler(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRegistry(t, h)
	content := []byte("0123456789")
	digest := "?digest=" + digestOf(content).String()
	status, begun := r.send(http.MethodPost, "/v2/app/blobs/uploads/", nil)
	at := begun.Get("Location")
	if status != http.StatusAccepted || at == "" {
		t.Fatalf("got %d and %q", status, at)
	}
	for _, c := range []struct {
		method, path, span string
		body               []byte
		status             int
		has                string
	}{
		{http.MethodGet, at, "", nil, 204, "0-0"},
		{http.MethodPatch, at, "0-3", content[:4], 202, "0-3"},
		{http.MethodPatch, at, "8-9", content[8:], 416, "0-3"},
		{http.MethodGet, at, "", nil, 204, "0-3"},
		{http.MethodPatch, at, "", content[4:8], 202, "0-7"},
		{http.MethodPut, at + "?digest=nonsense", "", nil, 400, ""},
		{http.MethodPut, at + digest, "", content[8:], 201, ""},
		{http.MethodGet, at, "", nil, 404, ""},
		{http.MethodGet, "/v2/other/blobs/" + digestOf(content).String(), "", nil, 200, ""},
		{http.MethodPost, "/v2/other/blobs/uploads/?from=app&mount=" + digestOf(content).String(), "", nil, 201, ""},
		{http.MethodPost, "/v2/other/blobs/uploads/?from=app&mount=" + digestOf(nil).String(), "", nil, 202, "0-0"},
		{http.MethodPost, "/v2/app/blobs/uploads/?digest=" + digestOf(content[:1]).String(), "", content[:1], 201, ""},
		{http.MethodPost, "/v2/app/blobs/uploads/" + digest, "", content[:2], 400, ""},
		{http.MethodGet, "/v2/app/blobs/uploads/", "", nil, 405, ""},
		{http.MethodHead, "/v2/app/blobs/" + digestOf(content[:2]).String(), "", nil, 404, ""},
		{http.MethodDelete, "/v2/app/blobs/" + digestOf(content).String(), "", nil, 202, ""},
		{http.MethodHead, "/v2/app/blobs/" + digestOf(content).String(), "", nil, 404, ""},
	} {
		status, header := r.send(c.method, c.path, c.body, "Content-Range", c.span)
		if status != c.status || header.Get("Range") != c.has {
			t.Errorf("%s %s: got %d %q, want %d %q", c.method, c.path, status, header.Get("Range"), c.status, c.has)
		}
	}
	if _, err := Handler(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "uploads")); len(left) > 0 {
		t.Errorf("%d uploads survived the registry", len(left))
	}
}

func TestServe(t *testing.T) {
	h, err := Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), ":0")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(l.Addr().String(), "127.0.0.1:") {
		t.Errorf("it listens on %s", l.Addr())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, h) }()
	r := &testRegistry{t: t, host: l.Addr().String()}
	if err := newPusher(t, r, impatient()).Check(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := Serve(t.Context(), l, h); err == nil {
		t.Errorf("a closed listener was served")
	}
}

func TestHandlerErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Handler(file); err == nil {
		t.Errorf("a file was taken for a directory")
	}
}

// Large blobs are not held in memory: they arrive in chunks and go out as a file.
func TestServerServesRanges(t *testing.T) {
	r := newRegistry(t, nil)
	img := r.fill("app:v1", 10000, 1)
	layers, _ := img.Layers()
	digest, _ := layers[0].Digest()
	size, _ := layers[0].Size()
	status, header := r.send(http.MethodGet, "/v2/app/blobs/"+digest.String(), nil, "Range", fmt.Sprintf("bytes=10-%d", size-1))
	if want := fmt.Sprintf("bytes 10-%d/%d", size-1, size); status != http.StatusPartialContent || header.Get("Content-Range") != want {
		t.Errorf("got %d %q, want %q", status, header.Get("Content-Range"), want)
	}
}

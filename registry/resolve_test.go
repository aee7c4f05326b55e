package registry

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestResolveImage(t *testing.T) {
	r := newRegistry(t, nil)
	want := r.fill("app:v1", 1000, 3)
	got := resolve(t, newClient(t, impatient()), r.tag("app:v1"))
	digest, _ := want.Digest()
	if got.Manifest.Descriptor.Digest != digest || got.Ref.DigestStr() != digest.String() || got.Named.Digest != digest {
		t.Errorf("got %s, want %s", got.Ref, digest)
	}
	config, _ := want.RawConfigFile()
	if !bytes.Equal(got.RawConfig, config) {
		t.Errorf("got another config")
	}
	layers, _ := want.Layers()
	for i, l := range got.Layers(t.Context()) {
		if !bytes.Equal(layerBytes(t, l), layerBytes(t, layers[i])) {
			t.Errorf("layer %d differs", i)
		}
	}
}

// r-index: the entry that is chosen is the one that comes back.
func TestResolveIndex(t *testing.T) {
	r := newRegistry(t, nil)
	index, err := random.Index(500, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(r.tag("app:v1"), index); err != nil {
		t.Fatal(err)
	}
	m, _ := index.IndexManifest()
	for _, want := range m.Manifests {
		img, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app:v1"), func(x *v1.IndexManifest) (v1.Descriptor, error) {
			return x.Manifests[slices.IndexFunc(x.Manifests, func(d v1.Descriptor) bool { return d.Digest == want.Digest })], nil
		})
		if err != nil {
			t.Fatal(err)
		}
		named, _ := index.Digest()
		if img.Manifest.Descriptor.Digest != want.Digest || img.Named.Digest != named {
			t.Errorf("got %s of %s", img.Manifest.Descriptor.Digest, img.Named.Digest)
		}
	}
}

// r-noplatform: the words of the one who chooses are the error.
func TestResolveNothingChosen(t *testing.T) {
	r := newRegistry(t, nil)
	index, _ := random.Index(10, 1, 1)
	if err := remote.WriteIndex(r.tag("app:v1"), index); err != nil {
		t.Fatal(err)
	}
	_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app:v1"), func(*v1.IndexManifest) (v1.Descriptor, error) {
		return v1.Descriptor{}, errors.New("no linux/s390x in it")
	})
	wantError(t, err, "resolving "+r.host+"/app:v1", "no linux/s390x in it")
}

// diskBlobs is a Blobs in a directory.
type diskBlobs string

func (d diskBlobs) Get(h v1.Hash) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(d), h.Hex))
}

func (d diskBlobs) Put(h v1.Hash, content []byte) error {
	return os.WriteFile(filepath.Join(string(d), h.Hex), content, 0o600)
}

// A tag whose manifest and config are kept costs one HEAD; a digest costs nothing.
func TestSecondResolveIsOneHead(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	c := acquainted(t, r, "app:v1")
	first := resolve(t, newClient(t, c), r.tag("app:v1"))
	if got, want := r.requests(), []string{"HEAD /v2/app/manifests/v1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	resolve(t, newClient(t, c), first.Ref)
	if got := r.requests(); len(got) > 0 {
		t.Errorf("a digest that is kept was asked for: %q", got)
	}
}

// What is kept is not believed.
func TestDamagedBlobsAreFetchedAgain(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	dir := t.TempDir()
	c := impatient()
	c.Blobs = diskBlobs(dir)
	resolve(t, newClient(t, c), r.tag("app:v1"))
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name()), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	resolve(t, newClient(t, c), r.tag("app:v1"))
}

// r-tag-flip: a client resolves a tag once, and all that is built from it comes from one image.
func TestTagIsResolvedOnce(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	c := newClient(t, impatient())
	refs := make([]string, 8)
	var wg sync.WaitGroup
	for i := range refs {
		wg.Go(func() {
			img, err := c.Resolve(t.Context(), r.tag("app:v1"), anyOf)
			if err != nil {
				t.Error(err)
				return
			}
			refs[i] = img.Ref.String()
		})
	}
	wg.Wait()
	if n := r.count("GET /v2/app/manifests/v1"); n != 1 {
		t.Errorf("the tag was asked for %d times", n)
	}
	r.fill("app:v1", 100, 1)
	refs = append(refs, resolve(t, c, r.tag("app:v1")).Ref.String())
	if slices.Sort(refs); refs[0] != refs[len(refs)-1] {
		t.Errorf("one tag was resolved to %s and to %s", refs[0], refs[len(refs)-1])
	}
}

// What is no image, such as the manifest of a cache, can be read too.
func TestManifest(t *testing.T) {
	r := newRegistry(t, nil)
	want, _ := r.fill("app:v1", 10, 2).RawManifest()
	m, err := newClient(t, impatient()).Manifest(t.Context(), r.tag("app:v1"))
	if err != nil || !bytes.Equal(m.Raw, want) || len(m.Image.Layers) != 2 {
		t.Errorf("got %+v, %v", m, err)
	}
	_, err = newClient(t, impatient()).Manifest(t.Context(), r.tag("app:none"))
	wantError(t, err, "resolving "+r.host+"/app:none")
}

func TestMissingImage(t *testing.T) {
	r := newRegistry(t, nil)
	_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app:none"), anyOf)
	wantError(t, err, "resolving "+r.host+"/app:none", "404")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// n-head-405.
func TestHeadNotAllowed(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	c := acquainted(t, r, "app:v1")
	r.on(http.MethodHead, "/manifests/", always, respond(http.StatusMethodNotAllowed))
	resolve(t, newClient(t, c), r.tag("app:v1"))
}

func TestHeadWithoutDigest(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	c := acquainted(t, r, "app:v1")
	r.on(http.MethodHead, "/manifests/", always, respond(http.StatusOK))
	resolve(t, newClient(t, c), r.tag("app:v1"))
}

// r-mirror: a mirror is asked first; what it gives for a digest is checked, and what it lacks or spoils comes
// from the registry itself.
func TestMirror(t *testing.T) {
	upstream, mirror := newRegistry(t, nil), newRegistry(t, nil)
	want := upstream.fill("app:v1", 1000, 1)
	digest, _ := want.Digest()
	c := impatient()
	c.Hosts = map[string]Host{upstream.host: {Mirrors: []string{mirror.host + "/proxy"}}}

	img := resolve(t, newClient(t, c), upstream.tag("app:v1"))
	if img.Manifest.Descriptor.Digest != digest {
		t.Errorf("got %s", img.Ref)
	}
	if mirror.count("GET /v2/proxy/app/manifests/v1") == 0 {
		t.Errorf("the mirror was not asked: %q", mirror.requests())
	}
	if err := remote.Write(mirror.tag("proxy/app:v1"), want); err != nil {
		t.Fatal(err)
	}
	upstream.requests()
	img = resolve(t, newClient(t, c), upstream.tag("app:v1"))
	layerBytes(t, img.Layers(t.Context())[0])
	if got := upstream.requests(); len(got) > 0 {
		t.Errorf("the mirror has all, but upstream was asked %q", got)
	}
	mirror.on(http.MethodGet, "/manifests/", always, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", string(types.DockerManifestSchema2))
		_, _ = w.Write([]byte(`{"schemaVersion":2}`))
	})
	mirror.on(http.MethodGet, "/blobs/", always, respond(http.StatusInternalServerError))
	img = resolve(t, newClient(t, c), upstream.repo("app").Digest(digest.String()))
	layerBytes(t, img.Layers(t.Context())[0])
}

func TestMirrorConfiguration(t *testing.T) {
	for _, c := range []struct {
		hosts map[string]Host
		want  string
	}{
		{map[string]Host{"docker.io": {Mirrors: []string{"ftp://x"}}}, "is not a scheme"},
		{map[string]Host{"docker.io": {Mirrors: []string{"/x"}}}, "is not the name of a host"},
		{map[string]Host{"docker.io": {Scheme: "file"}}, "is not a scheme"},
		{map[string]Host{"docker.io": {CA: []string{"/does/not/exist"}}}, "reading certificates"},
		{map[string]Host{"docker.io": {ClientCert: "/does/not/exist"}}, "client certificate"},
	} {
		_, err := New(Config{Hosts: c.hosts})
		wantError(t, err, "configuring the registry docker.io", c.want)
	}
}

// Names that climb are refused before any URL is made of them.
func TestBadNames(t *testing.T) {
	r := newRegistry(t, nil)
	c := newClient(t, impatient())
	for _, n := range []string{"../../x:v1", "app/../../x:v1", "app//x:v1", "app:..", "./app:v1", "a/.:v1"} {
		ref, err := name.ParseReference(r.host + "/" + n)
		if err != nil {
			continue
		}
		_, err = c.Resolve(t.Context(), ref, anyOf)
		wantError(t, err, "is not ")
		p, err := c.Pusher(ref.Context())
		if err == nil {
			err = p.Manifest(t.Context(), types.OCIManifestSchema1, []byte("{}"), ref.Identifier())
		}
		wantError(t, err, "is not ")
	}
	if got := r.requests(); len(got) > 0 {
		t.Errorf("asked %q", got)
	}
}

func TestDefaultScheme(t *testing.T) {
	for name, want := range map[string]string{
		"localhost": "http", "localhost:5000": "http", "x.localhost:80": "http", "127.0.0.1:5000": "http", "127.8.9.1": "http",
		"[::1]:5000": "http", "[::1]": "http", "example.com": "https", "10.0.0.1:5000": "https", "192.168.1.1": "https", "localhost.evil.com": "https",
	} {
		if got := defaultScheme(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

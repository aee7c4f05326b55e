package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	c := impatient()
	c.Blobs = diskBlobs(t.TempDir())
	first := resolve(t, newClient(t, c), r.tag("app:v1"))
	r.requests()
	resolve(t, newClient(t, c), r.tag("app:v1"))
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
	if n := r.count("HEAD /v2/app/manifests/v1"); n != 1 {
		t.Errorf("the tag was asked for %d times", n)
	}
	r.fill("app:v1", 100, 1)
	refs = append(refs, resolve(t, c, r.tag("app:v1")).Ref.String())
	if slices.Sort(refs); refs[0] != refs[len(refs)-1] {
		t.Errorf("one tag was resolved to %s and to %s", refs[0], refs[len(refs)-1])
	}
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
	r.on(http.MethodHead, "/manifests/", always, respond(http.StatusMethodNotAllowed))
	resolve(t, newClient(t, impatient()), r.tag("app:v1"))
}

func TestHeadWithoutDigest(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	r.on(http.MethodHead, "/manifests/", always, respond(http.StatusOK))
	resolve(t, newClient(t, impatient()), r.tag("app:v1"))
}

// image is a good one, to be spoilt.
type image struct {
	f        fixed
	config   map[string]any
	manifest map[string]any
	media    types.MediaType
}

func goodImage() *image {
	f := fixed{}
	layer := f.blob([]byte("a layer"))
	i := &image{f: f, media: types.OCIManifestSchema1}
	i.config = map[string]any{
		"os": "linux", "architecture": "amd64",
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{layer.Digest.String()}},
	}
	i.manifest = map[string]any{
		"schemaVersion": 2, "mediaType": string(i.media),
		"layers": []any{map[string]any{"mediaType": string(layer.MediaType), "digest": layer.Digest.String(), "size": layer.Size}},
	}
	return i
}

// finish adds the config and the manifest.
func (i *image) finish(config []byte) {
	if config == nil {
		config = mustJSON(i.config)
	}
	if i.manifest["config"] == nil {
		d := i.f.blob(config)
		i.manifest["config"] = map[string]any{"mediaType": string(types.OCIConfigJSON), "digest": d.Digest.String(), "size": d.Size}
	}
	i.f.manifest(i.media, mustJSON(i.manifest))
}

func (i *image) layer() map[string]any {
	return i.manifest["layers"].([]any)[0].(map[string]any)
}

// Every lie of a registry about an image is found before anything of it is used.
func TestLies(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*image)
		want  string
	}{
		{"r-neg-size", func(i *image) { i.layer()["size"] = -1 }, "has the size -1"},
		{"r-digest-path", func(i *image) { i.layer()["digest"] = "sha256:../../../../etc/passwd" }, "parsing the manifest"},
		{"r-digest-md5", func(i *image) { i.layer()["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e" }, "unsupported hash"},
		{"r-digest-empty", func(i *image) { i.layer()["digest"] = "" }, "parsing the manifest"},
		{"r-digest-none", func(i *image) { delete(i.layer(), "digest") }, "it has no digest"},
		{"r-schema1", func(i *image) { i.manifest["schemaVersion"] = 1 }, "schema 1"},
		{"r-schema1-type", func(i *image) { i.media = types.DockerManifestSchema1Signed }, "schema 1"},
		{"r-schema3", func(i *image) { i.manifest["schemaVersion"] = 3 }, "unknown schema version 3"},
		{"r-confusion", func(i *image) { i.manifest["manifests"] = []any{} }, "whether this is a manifest or an index"},
		{"r-nothing", func(i *image) { delete(i.manifest, "layers"); i.manifest["config"] = nil }, "refused below"},
		{"r-wrongtype", func(i *image) { i.manifest["mediaType"] = string(types.DockerManifestSchema2) }, "was announced as"},
		{"r-wrongtype-header", func(i *image) { i.media = types.OCIImageIndex }, "was announced as"},
		{"r-wrongtype-index", func(i *image) { i.manifest["mediaType"] = string(types.OCIImageIndex) }, "is not what its mediaType"},
		{"r-wrongtype-json", func(i *image) { i.media = "application/json" }, "instead of a manifest"},
		{"r-diffid-count", func(i *image) { i.config["rootfs"] = map[string]any{"diff_ids": []any{}} }, "0 diff IDs but the manifest 1 layers"},
		{"r-diffid-bad", func(i *image) { i.config["rootfs"] = map[string]any{"diff_ids": []any{"sha256:zz"}} }, "parsing the config"},
		{"r-layer-type", func(i *image) { i.layer()["mediaType"] = "application/x-mystery" }, "which is not known here"},
		{"r-config-type", func(i *image) {
			d := i.f.blob([]byte("{}"))
			i.manifest["config"] = map[string]any{"mediaType": "application/vnd.oci.empty.v1+json", "digest": d.Digest.String(), "size": d.Size}
		}, "this is not an image"},
		{"r-config-size", func(i *image) {
			d := i.f.blob(mustJSON(i.config))
			i.manifest["config"] = map[string]any{"mediaType": string(types.OCIConfigJSON), "digest": d.Digest.String(), "size": d.Size + 1}
		}, "bytes long and not"},
		{"r-config-bomb", func(i *image) {
			d := i.f.blob([]byte("{}"))
			i.manifest["config"] = map[string]any{"mediaType": string(types.OCIConfigJSON), "digest": d.Digest.String(), "size": 256 << 20}
		}, "more than the allowed 8388608"},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := goodImage()
			c.spoil(i)
			i.finish(nil)
			if c.name == "r-nothing" {
				i.f.manifest(i.media, []byte(`{"schemaVersion":2}`))
				c.want = "whether this is a manifest or an index"
			}
			r := newRegistry(t, i.f)
			_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app"), anyOf)
			wantError(t, err, c.want)
		})
	}
}

func TestGoodImageIsGood(t *testing.T) {
	i := goodImage()
	i.finish(nil)
	r := newRegistry(t, i.f)
	resolve(t, newClient(t, impatient()), r.tag("app"))
}

// r-config-garbage, r-config-types.
func TestConfigGarbage(t *testing.T) {
	for _, config := range []string{"", "garbage", "null", "[]", `"x"`, `{"os":5}`, `{"rootfs":{"diff_ids":"x"}}`, `{"os":"linux"`} {
		i := goodImage()
		i.finish([]byte(config))
		r := newRegistry(t, i.f)
		_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app"), anyOf)
		if err == nil {
			t.Errorf("the config %q was accepted", config)
		}
	}
}

// r-dupkey: two parsers must not be able to see two images.
func TestDuplicateKeys(t *testing.T) {
	for _, c := range []struct {
		json string
		ok   bool
	}{
		{`{"a":1,"b":{"a":1}}`, true},
		{`{"layers":1,"layers":2}`, false},
		{`{"layers":1,"Layers":2}`, false},
		{`{"layers":1,"layerſ":2}`, false},
		{`{"a":[{"x":1,"x":2}]}`, false},
		{`{"a":1,"\u0061":2}`, false},
		{`{"annotations":{"a":"1","A":"2"}}`, true},
		{`{"config":{"Labels":{"a":"1","A":"2"}}}`, true},
		{`{"annotations":{"a":"1","a":"2"}}`, false},
		{strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), false},
	} {
		if err := checkJSON([]byte(c.json)); (err == nil) != c.ok {
			t.Errorf("%.60s: got %v", c.json, err)
		}
	}
}

// r-manifest-bomb: nothing that is too long is read, whether it says so or not.
func TestManifestBomb(t *testing.T) {
	for _, announce := range []bool{true, false} {
		r := newRegistry(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
			if announce {
				w.Header().Set("Content-Length", fmt.Sprint(128<<20))
			}
			if req.Method == http.MethodHead {
				return
			}
			for range 128 {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
					return
				}
			}
		}))
		_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app"), anyOf)
		wantError(t, err, "the allowed 4194304")
	}
}

// r-manifest-digest: what hashes to something else is asked for once more, and then refused.
func TestManifestDigest(t *testing.T) {
	i := goodImage()
	i.finish(nil)
	good := i.f["manifests/latest"]
	lie := fixedAnswer{good.media, append(bytes.Clone(good.body), ' ')}
	digest := "manifests/" + digestOf(good.body).String()
	i.f[digest] = lie
	r := newRegistry(t, i.f)
	_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app"), anyOf)
	wantError(t, err, "its digest is "+digestOf(lie.body).String(), "and not "+digestOf(good.body).String())
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v is not ErrCorrupt", err)
	}
	if n := r.count("GET /v2/app/" + digest); n != 2 {
		t.Errorf("it was asked for %d times", n)
	}
}

// r-index-nest: indexes in indexes are followed for three steps.
func TestIndexNest(t *testing.T) {
	for _, c := range []struct {
		depth int
		ok    bool
	}{{3, true}, {4, false}, {60, false}} {
		i := goodImage()
		i.finish(nil)
		d := i.f.manifest(i.media, i.f["manifests/latest"].body)
		for range c.depth {
			raw := mustJSON(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{d}})
			d = i.f.manifest(types.OCIImageIndex, raw)
		}
		r := newRegistry(t, i.f)
		_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app"), anyOf)
		if (err == nil) != c.ok {
			t.Errorf("%d deep: got %v", c.depth, err)
		}
	}
}

func TestIndexEntries(t *testing.T) {
	entry := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf(nil)}
	raw := mustJSON(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: slices.Repeat([]v1.Descriptor{entry}, 1001)})
	_, err := parseManifest(raw)
	wantError(t, err, "1001 entries")
}

// An entry of an index must be what the index says it is.
func TestIndexEntryLies(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*v1.Descriptor)
		want  string
	}{
		{"type", func(d *v1.Descriptor) { d.MediaType = types.DockerManifestSchema2 }, "was announced as"},
		{"size", func(d *v1.Descriptor) { d.Size++ }, "bytes long and not"},
		{"huge", func(d *v1.Descriptor) { d.Size = 1 << 40 }, "more than the allowed"},
	} {
		i := goodImage()
		i.finish(nil)
		d := i.f.manifest(i.media, i.f["manifests/latest"].body)
		c.spoil(&d)
		i.f.manifest(types.OCIImageIndex, mustJSON(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{d}}))
		r := newRegistry(t, i.f)
		_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app"), anyOf)
		wantError(t, err, c.want)
	}
}

// r-many-layers.
func TestManyLayers(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 10, 127)
	if got := len(resolve(t, newClient(t, impatient()), r.tag("app:v1")).Layers(t.Context())); got != 127 {
		t.Errorf("got %d layers", got)
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: v1.Descriptor{Digest: digestOf(nil)}, Layers: slices.Repeat([]v1.Descriptor{{Digest: digestOf(nil)}}, 501)}
	_, err := parseManifest(mustJSON(m))
	wantError(t, err, "501 layers")
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
	if mirror.count("HEAD /v2/proxy/app/manifests/v1") == 0 {
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

func FuzzManifest(f *testing.F) {
	i := goodImage()
	i.finish(nil)
	f.Add(i.f["manifests/latest"].body)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Add([]byte(`{"schemaVersion":2,"layers":[],"config":{"digest":"sha256:` + strings.Repeat("a", 64) + `"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseManifest(raw)
		if err != nil {
			return
		}
		if (m.Image == nil) == (m.Index == nil) || m.Descriptor.Digest != digestOf(raw) {
			t.Fatalf("a manifest is one thing: %+v", m)
		}
		var all []v1.Descriptor
		var parsed any = m.Index
		if m.Image != nil {
			all, parsed = append(all, m.Image.Config), m.Image
			all = append(all, m.Image.Layers...)
		} else {
			all = append(all, m.Index.Manifests...)
		}
		for _, d := range all {
			if _, err := v1.NewHash(d.Digest.String()); err != nil || filepath.Base(d.Digest.Hex) != d.Digest.Hex || d.Size < 0 {
				t.Fatalf("a descriptor that should not be: %+v", d)
			}
		}
		if _, err := parseManifest(mustJSON(parsed)); err != nil {
			t.Fatalf("encoding it again changes what it means: %v", err)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add(mustJSON(goodImage().config))
	f.Add([]byte(`{"rootfs":{"diff_ids":[""]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseConfig(raw, 1)
		if err != nil {
			return
		}
		if len(c.RootFS.DiffIDs) != 1 || c.RootFS.DiffIDs[0] == (v1.Hash{}) {
			t.Fatalf("a config without a diff ID was accepted")
		}
		var value json.RawMessage
		if err := json.Unmarshal(raw, &value); err != nil {
			t.Fatalf("this is no JSON: %v", err)
		}
	})
}

package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

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
	_, err := newClient(t, impatient()).Resolve(t.Context(), r.repo("app").Digest(digestOf(good.body).String()), anyOf)
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

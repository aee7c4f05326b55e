package exporter

import (
	"encoding/json"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}

func at(day int) *time.Time {
	t := time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)
	return &t
}

func testConfig() dockerspec.DockerOCIImage {
	var c dockerspec.DockerOCIImage
	c.OS, c.Architecture = "linux", "amd64"
	c.Config.Cmd = []string{"sh"}
	c.Config.Labels = map[string]string{"b": "2", "a": "1"}
	c.Config.Healthcheck = &dockerspec.HealthcheckConfig{Test: []string{"CMD", "true"}, StartInterval: time.Second}
	c.Config.OnBuild = []string{"RUN x"}
	c.Config.Shell = []string{"/bin/bash"}
	c.History = []ocispec.History{
		{CreatedBy: "FROM base", Created: at(1)},
		{CreatedBy: "ENV a=b", Created: at(20), EmptyLayer: true},
		{CreatedBy: "COPY . .", Created: at(20)},
	}
	return c
}

func randomLayers(t *testing.T, media ...types.MediaType) []v1.Layer {
	t.Helper()
	layers := make([]v1.Layer, len(media))
	for i, m := range media {
		l, err := random.Layer(1000, m)
		if err != nil {
			t.Fatal(err)
		}
		layers[i] = l
	}
	return layers
}

func newImage(t *testing.T, c dockerspec.DockerOCIImage, layers []v1.Layer, o Options) v1.Image {
	t.Helper()
	img, err := Image(c, layers, o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func testImage(t *testing.T) v1.Image {
	t.Helper()
	return newImage(t, testConfig(), randomLayers(t, types.DockerLayer, types.OCILayer), Options{})
}

func testIndex(t *testing.T, images ...Built) v1.ImageIndex {
	t.Helper()
	x, err := Index(images, IndexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestImage(t *testing.T) {
	layers := randomLayers(t, types.DockerLayer, types.OCILayer)
	img := newImage(t, testConfig(), layers, Options{Annotations: map[string]string{"k": "v"}})
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	m, _ := img.Manifest()
	if m.MediaType != types.OCIManifestSchema1 || m.Config.MediaType != types.OCIConfigJSON || m.Annotations["k"] != "v" {
		t.Errorf("got %+v", m)
	}
	for i, d := range m.Layers {
		if d.MediaType != types.OCILayer {
			t.Errorf("layer %d is a %s", i, d.MediaType)
		}
		if l, err := img.LayerByDigest(d.Digest); err != nil {
			t.Error(err)
		} else if media, _ := l.MediaType(); media != types.OCILayer {
			t.Errorf("layer %d is a %s", i, media)
		}
		id, _ := layers[i].DiffID()
		if _, err := img.LayerByDiffID(id); err != nil {
			t.Error(err)
		}
	}
	if _, err := img.LayerByDigest(v1.Hash{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := img.LayerByDiffID(v1.Hash{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := img.LayerByDigest(m.Config.Digest); err != nil {
		t.Error(err)
	}
}

// Docker's extensions of the config survive.
func TestConfigKeepsDockerExtensions(t *testing.T) {
	raw, _ := testImage(t).RawConfigFile()
	for _, want := range []string{`"StartInterval":1000000000`, `"OnBuild":["RUN x"]`, `"Shell":["/bin/bash"]`, `"diff_ids":["sha256:`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s lacks %s", raw, want)
		}
	}
}

func TestEqualInputGivesEqualBytes(t *testing.T) {
	layers := randomLayers(t, types.OCILayer, types.OCILayer)
	a, b := newImage(t, testConfig(), layers, Options{}), newImage(t, testConfig(), layers, Options{})
	x, _ := a.Digest()
	y, _ := b.Digest()
	if x != y {
		t.Errorf("%s and %s", x, y)
	}
}

func TestImageWithoutLayers(t *testing.T) {
	img := newImage(t, dockerspec.DockerOCIImage{Image: ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "arm"}}}, nil, Options{})
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	raw, _ := img.RawManifest()
	if !strings.Contains(string(raw), `"layers": []`) {
		t.Errorf("got %s", raw)
	}
}

func TestImageErrors(t *testing.T) {
	noOS := testConfig()
	noOS.OS = ""
	noArch := testConfig()
	noArch.Architecture = ""
	for _, c := range []struct {
		config dockerspec.DockerOCIImage
		layers []v1.Layer
		o      Options
		want   string
	}{
		{noOS, nil, Options{}, "no operating system"},
		{noArch, nil, Options{}, "no architecture"},
		{testConfig(), []v1.Layer{static.NewLayer(nil, "text/plain")}, Options{}, "describing layer 1: a layer of type"},
		{testConfig(), nil, Options{DockerTypes: true, Annotations: map[string]string{"a": "b"}}, "annotations need OCI media types"},
		{testConfig(), randomLayers(t, types.OCIUncompressedRestrictedLayer), Options{DockerTypes: true, NonDistributable: true}, "cannot be part of"},
	} {
		if _, err := Image(c.config, c.layers, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	a := map[string]string{"a": "b"}
	for _, o := range []IndexOptions{{DockerTypes: true, Annotations: a}, {DockerTypes: true, DescriptorAnnotations: a}} {
		if _, err := Index(nil, o); !errors.Is(err, errAnnotations) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := Index([]Built{{Image: testImage(t), Annotations: a}}, IndexOptions{DockerTypes: true}); !errors.Is(err, errAnnotations) {
		t.Errorf("got %v", err)
	}
}

// All of a manifest is of one family of media types.
func TestMediaTypes(t *testing.T) {
	for _, c := range []struct {
		in, oci, docker, keptOCI, keptDocker types.MediaType
	}{
		{types.OCILayer, types.OCILayer, types.DockerLayer, types.OCILayer, types.DockerLayer},
		{types.DockerLayer, types.OCILayer, types.DockerLayer, types.OCILayer, types.DockerLayer},
		{types.OCIUncompressedLayer, types.OCIUncompressedLayer, types.DockerUncompressedLayer, types.OCIUncompressedLayer, types.DockerUncompressedLayer},
		{types.OCILayerZStd, types.OCILayerZStd, dockerLayerZstd, types.OCILayerZStd, dockerLayerZstd},
		{dockerLayerZstd, types.OCILayerZStd, dockerLayerZstd, types.OCILayerZStd, dockerLayerZstd},
		{types.DockerForeignLayer, types.OCILayer, types.DockerLayer, types.OCIRestrictedLayer, types.DockerForeignLayer},
		{types.OCIRestrictedLayer, types.OCILayer, types.DockerLayer, types.OCIRestrictedLayer, types.DockerForeignLayer},
		{types.OCIUncompressedRestrictedLayer, types.OCIUncompressedLayer, types.DockerUncompressedLayer, types.OCIUncompressedRestrictedLayer, ""},
		{"", "", "", "", ""},
		{types.OCIConfigJSON, "", "", "", ""},
	} {
		for _, got := range []struct {
			docker, keep bool
			want         types.MediaType
		}{{false, false, c.oci}, {true, false, c.docker}, {false, true, c.keptOCI}, {true, true, c.keptDocker}} {
			if media, _ := families(got.docker).layer(c.in, got.keep); media != got.want {
				t.Errorf("%s with docker=%v keep=%v: got %q, want %q", c.in, got.docker, got.keep, media, got.want)
			}
		}
	}
}

// described is a layer with a descriptor of its own, as those from registries are.
type described struct {
	v1.Layer
	d v1.Descriptor
}

func (l described) Descriptor() (*v1.Descriptor, error) { return &l.d, nil }

// Annotations of base layers stay, but not what tools note for themselves; a restricted layer keeps its URLs
// only as long as it is one.
func TestLayerAnnotations(t *testing.T) {
	l := described{randomLayers(t, types.DockerForeignLayer)[0], v1.Descriptor{URLs: []string{"https://x"}, Annotations: map[string]string{
		"toc": "1", "containerd.io/uncompressed": "2", "buildkit/createdat": "3", "containerd.io/distribution.source.docker.io": "4",
	}}}
	for _, c := range []struct {
		o           Options
		urls        int
		annotations map[string]string
	}{
		{Options{}, 0, map[string]string{"toc": "1"}},
		{Options{NonDistributable: true}, 1, map[string]string{"toc": "1"}},
		{Options{DockerTypes: true}, 0, nil},
	} {
		m, _ := newImage(t, testConfig(), []v1.Layer{l}, c.o).Manifest()
		if got := m.Layers[0]; len(got.URLs) != c.urls || !reflect.DeepEqual(got.Annotations, c.annotations) {
			t.Errorf("%+v: got %+v", c.o, got)
		}
	}
}

// The layers of an image can be unwrapped to those it was made of, so that they can be mounted.
func TestLayersUnwrap(t *testing.T) {
	layers := randomLayers(t, types.DockerLayer)
	got, _ := newImage(t, testConfig(), layers, Options{}).Layers()
	if w, ok := got[0].(interface{ Unwrap() v1.Layer }); !ok || w.Unwrap() != layers[0] {
		t.Errorf("got %T", got[0])
	}
}

func TestHistory(t *testing.T) {
	e := func(by string, day int, empty bool) ocispec.History {
		h := ocispec.History{CreatedBy: by, EmptyLayer: empty}
		if day > 0 {
			h.Created = at(day)
		}
		return h
	}
	filler := func(day int) ocispec.History {
		h := e("", day, false)
		h.Comment = "this layer came without a history"
		return h
	}
	for _, c := range []struct {
		name         string
		in           []ocispec.History
		layers, base int
		want         []ocispec.History
	}{
		{"fits", []ocispec.History{e("a", 1, false), e("b", 2, true)}, 1, 1, []ocispec.History{e("a", 1, false), e("b", 2, true)}},
		{"base without a history", []ocispec.History{e("b", 2, false)}, 3, 0, []ocispec.History{filler(2), filler(2), e("b", 2, false)}},
		{"base with a part of one", []ocispec.History{e("a", 1, false), e("b", 3, false)}, 3, 1, []ocispec.History{e("a", 1, false), filler(3), e("b", 3, false)}},
		{"too many", []ocispec.History{e("a", 1, false), e("b", 2, false)}, 1, 1, []ocispec.History{e("a", 1, false), e("b", 2, true)}},
		{"none", nil, 2, 5, []ocispec.History{filler(0), filler(0)}},
		{"times", []ocispec.History{e("a", 0, false), e("b", 2, true), e("c", 0, true)}, 1, 0, []ocispec.History{e("a", 2, false), e("b", 2, true), e("c", 2, true)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fillTimes(fitHistory(c.in, c.layers, c.base)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %s, want %s", asJSON(got), asJSON(c.want))
			}
		})
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// The epoch bounds what this build made, and not what the base image did.
func TestEpoch(t *testing.T) {
	c := testConfig()
	c.Created = at(20)
	c.History[0].Created = at(25)
	img := newImage(t, c, randomLayers(t, types.OCILayer, types.OCILayer), Options{Epoch: at(10), BaseHistory: 1})
	f, _ := img.ConfigFile()
	if got := []int{f.Created.Day(), f.History[0].Created.Day(), f.History[1].Created.Day(), f.History[2].Created.Day()}; !reflect.DeepEqual(got, []int{10, 25, 10, 10}) {
		t.Errorf("got days %v", got)
	}
	c.Created = nil
	img = newImage(t, c, randomLayers(t, types.OCILayer, types.OCILayer), Options{})
	if f, _ = img.ConfigFile(); f.Created.Day() != 20 {
		t.Errorf("created on day %d, want that of the last step", f.Created.Day())
	}
}

func TestIndex(t *testing.T) {
	arm := v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	c := testConfig()
	c.Architecture, c.Variant = arm.Architecture, arm.Variant
	a, b := testImage(t), newImage(t, c, randomLayers(t, types.OCILayer), Options{})
	x, err := Index([]Built{{Image: a, Platform: amd64, Annotations: map[string]string{"k": "v"}}, {Image: b, Platform: arm}}, IndexOptions{Annotations: map[string]string{"i": "j"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(x); err != nil {
		t.Error(err)
	}
	m, _ := x.IndexManifest()
	if m.MediaType != types.OCIImageIndex || m.Annotations["i"] != "j" || m.Manifests[0].Annotations["k"] != "v" || !m.Manifests[1].Platform.Equals(arm) {
		t.Errorf("got %s", asJSON(m))
	}
	if m.Manifests[0].ArtifactType != "" {
		t.Errorf("an image is an artifact of type %s", m.Manifests[0].ArtifactType)
	}
	if _, err := x.Image(v1.Hash{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := x.ImageIndex(v1.Hash{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	docker, err := Index(nil, IndexOptions{DockerTypes: true})
	if err != nil {
		t.Fatal(err)
	}
	if media, _ := docker.MediaType(); media != types.DockerManifestList {
		t.Errorf("got %s", media)
	}
}

// One image is a result without an index, unless one is asked for.
func TestNewResult(t *testing.T) {
	one := []Built{{Image: testImage(t), Platform: amd64}}
	two := append(one, Built{Image: testImage(t), Platform: amd64})
	a := map[string]string{"a": "b"}
	for _, c := range []struct {
		images []Built
		o      IndexOptions
		index  bool
	}{
		{one, IndexOptions{}, false}, {one, IndexOptions{Always: true, Annotations: a, DescriptorAnnotations: a}, true}, {two, IndexOptions{}, true},
	} {
		r, err := NewResult(c.images, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Index != nil; got != c.index {
			t.Errorf("%+v: there is an index: %v", c.o, got)
		}
		if top, err := r.top(); err != nil || !reflect.DeepEqual(top.Annotations, c.o.DescriptorAnnotations) {
			t.Errorf("got %+v, %v", top.Annotations, err)
		}
	}
	for _, o := range []IndexOptions{{Annotations: a}, {DescriptorAnnotations: a}} {
		if _, err := NewResult(one, o); err == nil {
			t.Errorf("%+v: an index that does not exist was annotated", o)
		}
	}
	if _, err := NewResult(nil, IndexOptions{}); err == nil {
		t.Errorf("there is a result without images")
	}
}

// The version of an operating system is known to the config only.
func TestOSVersion(t *testing.T) {
	c := testConfig()
	c.OS, c.OSVersion = "windows", "10.0.17763.1"
	b := Built{Image: newImage(t, c, nil, Options{}), Platform: v1.Platform{OS: "windows", Architecture: "amd64"}}
	d, err := b.descriptor()
	if err != nil || d.Platform.OSVersion != "10.0.17763.1" {
		t.Errorf("got %s, %v", asJSON(d), err)
	}
}

// Images made elsewhere can be exported as well.
func TestForeignImage(t *testing.T) {
	img, err := mutate.AppendLayers(empty.Image, randomLayers(t, types.DockerLayer)...)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := Built{Image: img}.blobs()
	if err != nil || len(blobs) != 2 {
		t.Errorf("got %d blobs, %v", len(blobs), err)
	}
	if _, err := partial.Descriptor(img); err != nil {
		t.Error(err)
	}
}

func TestMetadata(t *testing.T) {
	img := testImage(t)
	single := Result{Images: []Built{{Image: img, Platform: amd64}}}
	top, _ := single.top()
	config, _ := img.ConfigName()
	m, err := Metadata(single, []Written{{Descriptor: top.Descriptor, Names: []string{"docker.io/library/a:b", "r.io/c:d"}}, {Notes: []string{"x"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"containerimage.digest": top.Digest.String(), "containerimage.config.digest": config.String(),
		"containerimage.descriptor": top.Descriptor, "image.name": "docker.io/library/a:b,r.io/c:d",
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got %s", asJSON(m))
	}
	if id, _ := ImageID(single); id != config.String() {
		t.Errorf("got %s", id)
	}

	index := Result{Images: single.Images, Index: testIndex(t, single.Images...)}
	top, _ = index.top()
	m, _ = Metadata(index, []Written{{Descriptor: top.Descriptor}})
	if want := map[string]any{"containerimage.digest": top.Digest.String(), "containerimage.descriptor": top.Descriptor}; !reflect.DeepEqual(m, want) {
		t.Errorf("got %s", asJSON(m))
	}
	if id, _ := ImageID(index); id != top.Digest.String() {
		t.Errorf("got %s", id)
	}
	if m, _ = Metadata(single, []Written{{}}); len(m) > 0 {
		t.Errorf("files have the metadata %s", asJSON(m))
	}
	if _, err := ImageID(Result{Images: append(single.Images, single.Images...)}); err == nil {
		t.Errorf("two images without an index have an ID")
	}
}

func TestCacheOnly(t *testing.T) {
	w, err := CacheOnly{}.Write(t.Context(), Result{})
	if err != nil || !reflect.DeepEqual(w, Written{}) {
		t.Errorf("got %+v, %v", w, err)
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string][2]string{
		"app": {"docker.io/library/app:latest", "app:latest"}, "me/app:v1": {"docker.io/me/app:v1", "me/app:v1"},
		"localhost/app:v1": {"localhost/app:v1", "localhost/app:v1"}, "r.io:5000/a/b:c": {"r.io:5000/a/b:c", "r.io:5000/a/b:c"},
	} {
		tags, err := parseNames([]string{in})
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{fullName(tags[0]), shortName(tags[0])}; got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{"", "a@sha256:0", "A B"} {
		if _, err := parseNames([]string{in}); err == nil {
			t.Errorf("%q is a name", in)
		}
	}
}

// datedLayer knows when it was made.
type datedLayer struct {
	v1.Layer
	time time.Time
}

func (d datedLayer) Created() (time.Time, error) { return d.time, nil }

// A layer that knows when it was made gives its entry of the history, and the image, that time.
func TestDatedLayers(t *testing.T) {
	c := testConfig()
	c.Created = nil
	for i := range c.History {
		c.History[i].Created = nil
	}
	c.History[0].Created = at(1)
	layers := randomLayers(t, types.OCILayer, types.OCILayer)
	f, _ := newImage(t, c, []v1.Layer{layers[0], datedLayer{layers[1], *at(5)}}, Options{BaseHistory: 1}).ConfigFile()
	var got []int
	for _, h := range f.History {
		got = append(got, h.Created.Day())
	}
	if want := []int{1, 5, 5}; !reflect.DeepEqual(got, want) || f.Created.Day() != 5 {
		t.Errorf("got days %v, created on day %d; want %v and 5", got, f.Created.Day(), want)
	}
}

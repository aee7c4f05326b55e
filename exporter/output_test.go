package exporter

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// single is a result of one image, double one of an index of two.
func single(t *testing.T) Result {
	t.Helper()
	return Result{Images: []Built{{Image: testImage(t), Platform: amd64}}}
}

func double(t *testing.T) Result {
	t.Helper()
	c := testConfig()
	c.Architecture = "arm64"
	arm := newImage(t, c, randomLayers(t, types.OCILayer, types.OCILayer), Options{})
	images := append(single(t).Images, Built{Image: arm, Platform: v1.Platform{OS: "linux", Architecture: "arm64"}})
	return Result{Images: images, Index: testIndex(t, images...)}
}

// testPusher pushes with go-containerregistry, and writes down in which order.
type testPusher struct {
	repo name.Repository
	log  *pushLog
}

type pushLog struct {
	mu   sync.Mutex
	done []string
	fail string
}

func (l *pushLog) add(format string, args ...any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if l.fail != "" && strings.Contains(text, l.fail) {
		return errors.New("this registry is full")
	}
	l.done = append(l.done, text)
	return nil
}

func (p testPusher) Layer(ctx context.Context, l v1.Layer) error {
	if err := p.log.add("%s blob", p.repo.RepositoryStr()); err != nil {
		return err
	}
	return remote.WriteLayer(p.repo, l, remote.WithContext(ctx))
}

// rawManifest is a manifest as remote.Put wants it.
type rawManifest struct {
	raw   []byte
	media types.MediaType
}

func (m rawManifest) RawManifest() ([]byte, error)        { return m.raw, nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return m.media, nil }

func (p testPusher) Manifest(ctx context.Context, media types.MediaType, raw []byte, tags ...string) error {
	if err := p.log.add("%s manifest %s", p.repo.RepositoryStr(), strings.Join(tags, ",")); err != nil {
		return err
	}
	digest, err := hash(raw)
	if err != nil {
		return err
	}
	refs := []name.Reference{p.repo.Digest(digest.String())}
	for _, tag := range tags {
		refs = append(refs, p.repo.Tag(tag))
	}
	for _, ref := range refs {
		if err := remote.Put(ref, rawManifest{raw, media}, remote.WithContext(ctx)); err != nil {
			return err
		}
	}
	return nil
}

func testRegistry(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func newRegistry(t *testing.T, o RegistryOptions, l *pushLog) *Registry {
	t.Helper()
	o.Open = func(r name.Repository) (Pusher, error) { return testPusher{r, l}, nil }
	out, err := NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func pulledIndex(t *testing.T, ref string) v1.ImageIndex {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	x, err := remote.Index(r)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// An index reaches every name of two registries whole, and its tags come after everything else.
func TestRegistryIndex(t *testing.T) {
	a, b, l := testRegistry(t), testRegistry(t), &pushLog{}
	out := newRegistry(t, RegistryOptions{Names: []string{a + "/app:v1", a + "/app:v2", b + "/other"}}, l)
	r := double(t)
	layers, _ := r.Images[0].Image.Layers()
	for _, layer := range layers {
		out.Layer(t.Context(), layer)
	}
	w, err := out.Write(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := r.Index.Digest()
	for _, ref := range []string{a + "/app:v1", a + "/app:v2", b + "/other:latest"} {
		x := pulledIndex(t, ref)
		if err := validate.Index(x); err != nil {
			t.Error(err)
		}
		if d, _ := x.Digest(); d != want {
			t.Errorf("%s is %s", ref, d)
		}
	}
	if !slices.Equal(w.Names, []string{a + "/app:v1", a + "/app:v2", b + "/other:latest"}) || w.Descriptor.Digest != want {
		t.Errorf("got %+v", w)
	}
	last := slices.Clone(l.done[len(l.done)-2:])
	slices.Sort(last)
	if !slices.Equal(last, []string{"app manifest v1,v2", "other manifest latest"}) {
		t.Errorf("the last were %q", last)
	}
}

// One image is pushed as a bare manifest, and only under its tag.
func TestRegistryImage(t *testing.T) {
	host, l := testRegistry(t), &pushLog{}
	r := single(t)
	w, err := newRegistry(t, RegistryOptions{Names: []string{host + "/app:v1"}, Canonical: true}, l).Write(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	ref, _ := name.ParseReference(host + "/app:v1")
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	digest, _ := img.Digest()
	if want := []string{host + "/app:v1", host + "/app@" + digest.String()}; !slices.Equal(w.Names, want) {
		t.Errorf("got %q, want %q", w.Names, want)
	}
	if n := len(slices.DeleteFunc(l.done, func(s string) bool { return !strings.Contains(s, "manifest") })); n != 1 {
		t.Errorf("%d manifests were pushed", n)
	}
}

func TestRegistryByDigest(t *testing.T) {
	host, l := testRegistry(t), &pushLog{}
	w, err := newRegistry(t, RegistryOptions{Names: []string{host + "/app"}, ByDigest: true}, l).Write(t.Context(), single(t))
	if err != nil {
		t.Fatal(err)
	}
	repo, _ := name.NewRepository(host + "/app")
	tags, err := remote.List(repo)
	if err != nil || len(tags) > 0 {
		t.Errorf("got tags %q, %v", tags, err)
	}
	if _, err := remote.Image(repo.Digest(w.Descriptor.Digest.String())); err != nil {
		t.Error(err)
	}
	if !slices.Equal(w.Names, []string{host + "/app"}) {
		t.Errorf("got %q", w.Names)
	}
}

// p-partial-index: when anything fails no tag moves, in no repository.
func TestRegistryFailure(t *testing.T) {
	for _, fail := range []string{"other blob", "other manifest "} {
		host, l := testRegistry(t), &pushLog{fail: fail}
		out := newRegistry(t, RegistryOptions{Names: []string{host + "/app:v1", host + "/other:v1"}}, l)
		r := double(t)
		layers, _ := r.Images[0].Image.Layers()
		out.Layer(t.Context(), layers[0])
		if _, err := out.Write(t.Context(), r); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("got %v", err)
		}
		if slices.Contains(l.done, "app manifest v1") {
			t.Errorf("a tag was moved: %q", l.done)
		}
	}
}

func TestRegistryNames(t *testing.T) {
	open := func(name.Repository) (Pusher, error) { return nil, errors.New("cannot open") }
	for _, c := range []struct {
		o    RegistryOptions
		want string
	}{
		{RegistryOptions{}, "needs a name"},
		{RegistryOptions{Names: []string{"A B"}}, "A B"},
		{RegistryOptions{Names: []string{"app:v1"}, ByDigest: true}, "must be a name without a tag"},
		{RegistryOptions{Names: []string{"app"}}, "cannot open"},
	} {
		c.o.Open = open
		if _, err := NewRegistry(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// Layers that must not be distributed are not pushed.
func TestNonDistributableLayersStay(t *testing.T) {
	host, l := testRegistry(t), &pushLog{}
	layers := append(randomLayers(t, types.OCIRestrictedLayer), randomLayers(t, types.OCILayer)...)
	r := Result{Images: []Built{{Image: newImage(t, testConfig(), layers, Options{NonDistributable: true}), Platform: amd64}}}
	out := newRegistry(t, RegistryOptions{Names: []string{host + "/app:v1"}}, l)
	for _, layer := range layers {
		out.Layer(t.Context(), layer)
	}
	out.Wait()
	if _, err := out.Write(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	digest, _ := layers[0].Digest()
	repo, _ := name.NewRepository(host + "/app")
	if got, err := remote.Layer(repo.Digest(digest.String())); err == nil {
		if _, err := got.Compressed(); err == nil {
			t.Errorf("the layer was pushed")
		}
	}
}

// wantLayout checks that a layout has a result under a name, with another implementation.
func wantLayout(t *testing.T, dir string, r Result, image, tag string) {
	t.Helper()
	x, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(x); err != nil {
		t.Error(err)
	}
	m, _ := x.IndexManifest()
	top, err := r.top()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Manifests {
		if d.Annotations[annotationName] == image && d.Annotations[annotationTag] == tag {
			if d.Digest != top.Digest || d.Annotations[annotationCreated] == "" {
				t.Errorf("%s is %s", image, asJSON(d))
			}
			return
		}
	}
	t.Errorf("%s has no %s %s", asJSON(m), image, tag)
}

func TestLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "layout")
	first, second, third := single(t), double(t), single(t)
	for _, c := range []struct {
		r     Result
		names []string
	}{{first, []string{"app:v1", "me/app:v2"}}, {second, nil}, {third, []string{"app:v1"}}} {
		w, err := Layout{Dir: dir, Names: c.names}.Write(t.Context(), c.r)
		if err != nil {
			t.Fatal(err)
		}
		top, _ := c.r.top()
		if w.Descriptor.Digest != top.Digest {
			t.Errorf("got %+v", w)
		}
	}
	wantLayout(t, dir, first, "docker.io/me/app:v2", "v2")
	wantLayout(t, dir, second, "", "latest")
	wantLayout(t, dir, third, "docker.io/library/app:v1", "v1")
	if x, _ := layout.ImageIndexFromPath(dir); x != nil {
		if m, _ := x.IndexManifest(); len(m.Manifests) != 3 {
			t.Errorf("got %s", asJSON(m))
		}
	}
	marker, _ := os.ReadFile(filepath.Join(dir, "oci-layout"))
	if string(marker) != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("got %s", marker)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("this is left: %q", left)
	}
}

// Writers at the same time do not lose each other's entries.
func TestLayoutConcurrently(t *testing.T) {
	dir := t.TempDir()
	results := make([]Result, 12)
	for i := range results {
		results[i] = single(t)
	}
	var wg sync.WaitGroup
	for i, r := range results {
		wg.Go(func() {
			if _, err := (Layout{Dir: dir, Names: []string{fmt.Sprintf("app:v%d", i)}}).Write(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, r := range results {
		wantLayout(t, dir, r, fmt.Sprintf("docker.io/library/app:v%d", i), fmt.Sprintf("v%d", i))
	}
}

// What is in the way, damaged or wrong is an error, and index.json stays as it was.
func TestLayoutErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte("no JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Layout{Dir: dir}).Write(t.Context(), single(t)); err == nil || !strings.Contains(err.Error(), "parsing index.json") {
		t.Errorf("got %v", err)
	}
	good := t.TempDir()
	if _, err := (Layout{Dir: good}).Write(t.Context(), single(t)); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(filepath.Join(good, "index.json"))
	if _, err := (Layout{Dir: good}).Write(t.Context(), lying(t)); err == nil || !strings.Contains(err.Error(), "its digest is") {
		t.Errorf("got %v", err)
	}
	after, _ := os.ReadFile(filepath.Join(good, "index.json"))
	if !bytes.Equal(before, after) {
		t.Errorf("index.json has changed")
	}
	if _, err := (Layout{Dir: good, Names: []string{"A B"}}).Write(t.Context(), single(t)); err == nil {
		t.Errorf("a wrong name was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Layout{Dir: t.TempDir()}).Write(ctx, single(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// liar is a layer with other bytes than its digest says.
type liar struct{ v1.Layer }

func (l liar) Compressed() (io.ReadCloser, error) {
	rc, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(rc)
	b[20] ^= 1
	return io.NopCloser(bytes.NewReader(b)), err
}

func lying(t *testing.T) Result {
	t.Helper()
	layers := []v1.Layer{randomLayers(t, types.OCILayer)[0], liar{randomLayers(t, types.OCILayer)[0]}}
	return Result{Images: []Built{{Image: newImage(t, testConfig(), layers, Options{}), Platform: amd64}}}
}

// unpack writes an archive below a new directory.
func unpack(t *testing.T, archive []byte) string {
	t.Helper()
	dir := t.TempDir()
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestArchive(t *testing.T) {
	for _, r := range []Result{single(t), double(t)} {
		var a, b bytes.Buffer
		for _, w := range []*bytes.Buffer{&a, &b} {
			if _, err := (Archive{Stream: w, Names: []string{"app:v1", "r.io/me/app"}}).Write(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("two archives of one result differ")
		}
		dir := unpack(t, a.Bytes())
		wantLayout(t, dir, r, "docker.io/library/app:v1", "v1")
		wantLayout(t, dir, r, "r.io/me/app:latest", "latest")
		if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err == nil {
			t.Errorf("an OCI archive has docker's manifest")
		}
	}
}

func TestArchiveWithoutName(t *testing.T) {
	r := single(t)
	var b bytes.Buffer
	if _, err := (Archive{Stream: &b}).Write(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	wantLayout(t, unpack(t, b.Bytes()), r, "", "")
}

// What docker load reads has the image under all of its names.
func TestDockerArchive(t *testing.T) {
	r := single(t)
	path := filepath.Join(t.TempDir(), "image.tar")
	if _, err := (Archive{Path: path, Docker: true, Names: []string{"app:v1", "me/app:v2", "r.io/x"}}).Write(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	archive, _ := os.ReadFile(path)
	var manifest []struct{ RepoTags []string }
	raw, _ := os.ReadFile(filepath.Join(unpack(t, archive), "manifest.json"))
	if err := json.Unmarshal(raw, &manifest); err != nil || !slices.Equal(manifest[0].RepoTags, []string{"app:v1", "me/app:v2", "r.io/x:latest"}) {
		t.Errorf("got %s, %v", raw, err)
	}
	tag, _ := name.NewTag("me/app:v2")
	img, err := tarball.ImageFromPath(path, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	got, _ := img.ConfigName()
	if want, _ := r.Images[0].Image.ConfigName(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := (Archive{Path: path, Docker: true}).Write(t.Context(), double(t)); err == nil || !strings.Contains(err.Error(), "an index of 2") {
		t.Errorf("got %v", err)
	}
}

// Files appear whole: one that fails leaves the old one and nothing else.
func TestArchiveFailure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "image.tar")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Archive{Path: path}).Write(t.Context(), lying(t)); err == nil || !strings.Contains(err.Error(), "writing "+path) {
		t.Errorf("got %v", err)
	}
	entries, _ := os.ReadDir(dir)
	if old, _ := os.ReadFile(path); string(old) != "old" || len(entries) != 1 {
		t.Errorf("got %q in %v", old, entries)
	}
	if _, err := (Archive{Path: filepath.Join(dir, "none", "x")}).Write(t.Context(), single(t)); err == nil {
		t.Errorf("a file was written where there is no directory")
	}
	if _, err := (Archive{Path: "/dev/null"}).Write(t.Context(), single(t)); err != nil {
		t.Error(err)
	}
}

// A layer of another length than it says does not make it into an archive.
func TestContentLength(t *testing.T) {
	l := static.NewLayer([]byte("0123456789"), types.OCILayer)
	digest, _ := l.Digest()
	for _, size := range []int64{5, 15} {
		if err := (content{digest, size, l.Compressed}).copy(io.Discard); err == nil {
			t.Errorf("ten bytes were taken for %d", size)
		}
	}
}

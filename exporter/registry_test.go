package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

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

func (p testPusher) Referrer(ctx context.Context, raw []byte) error {
	return p.Manifest(ctx, types.OCIManifestSchema1, raw)
}

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

// waitingPusher pushes nothing until it is told to stop.
type waitingPusher struct{ testPusher }

func (waitingPusher) Layer(ctx context.Context, _ v1.Layer) error {
	<-ctx.Done()
	return ctx.Err()
}

// A build that has failed stops what is being pushed.
func TestRegistryStop(t *testing.T) {
	out, err := NewRegistry(RegistryOptions{Names: []string{"r.io/app"}, Open: func(name.Repository) (Pusher, error) { return waitingPusher{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range randomLayers(t, types.OCILayer, types.OCILayer) {
		out.Layer(t.Context(), l)
	}
	out.Stop()
	out.Stop()
}

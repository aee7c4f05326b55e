//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seed-298d225e/builder/registry"
)

// serveRegistry serves an empty registry of ours.
func serveRegistry(t *testing.T) string {
	t.Helper()
	h, err := registry.Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// pushImage pushes a random image for an architecture.
func pushImage(t *testing.T, ref, architecture string) v1.Hash {
	t.Helper()
	img, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := img.ConfigFile()
	config.OS, config.Architecture = "linux", architecture
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		t.Fatal(err)
	}
	digest, _ := img.Digest()
	return digest
}

// indexAt is the index that a tag stands for, which must be whole, as "architecture digest" lines.
func indexAt(t *testing.T, ref string) (*v1.IndexManifest, []string) {
	t.Helper()
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	x, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(x); err != nil {
		t.Errorf("%s: %v", ref, err)
	}
	m, err := x.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range m.Manifests {
		lines = append(lines, d.Platform.Architecture+" "+d.Digest.String())
	}
	return m, lines
}

// merging runs do, which must print the digest of what the first tag stands for then.
func merging(t *testing.T, f indexFlags, do func(*indexFlags, *merge) error) error {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	client, err := f.newClient(t.Context(), registry.Config{}, registry.Run)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := do(&f, &merge{client: client, out: &out}); err != nil {
		return err
	}
	tag, err := name.ParseReference(f.tags[0])
	if err != nil {
		t.Fatal(err)
	}
	made, err := remote.Get(tag)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), made.Digest.String()+"\n"; got != want {
		t.Errorf("printed is %q, want %q", got, want)
	}
	return nil
}

// Images of several repositories and registries, named or told by metadata files, become one index in all places
// where it is wanted.
func TestIndexCreate(t *testing.T) {
	a, b := serveRegistry(t), serveRegistry(t)
	amd64, arm64 := pushImage(t, a+"/job:amd64", "amd64"), pushImage(t, a+"/other:arm64", "arm64")
	metadata := filepath.Join(t.TempDir(), "metadata.json")
	text, _ := json.Marshal(map[string]string{"containerimage.digest": amd64.String(), "image.name": a + "/job:amd64," + a + "/job"})
	if err := os.WriteFile(metadata, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f := indexFlags{tags: []string{a + "/app:v1", b + "/copy:v2"}, annotations: []string{"k=v", "manifest-descriptor[linux/arm64]:x=y"}}
	err := merging(t, f, func(f *indexFlags, m *merge) error {
		return f.create(t.Context(), m, []string{metadata, a + "/other:arm64"})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range f.tags {
		x, lines := indexAt(t, ref)
		if !slices.Equal(lines, []string{"amd64 " + amd64.String(), "arm64 " + arm64.String()}) {
			t.Errorf("%s is %q", ref, lines)
		}
		if x.Annotations["k"] != "v" || x.Manifests[1].Annotations["x"] != "y" || len(x.Manifests[0].Annotations) > 0 {
			t.Errorf("%s has the annotations %v, %v", ref, x.Annotations, x.Manifests)
		}
	}
	again := indexFlags{tags: []string{a + "/app:v1"}}
	newer := pushImage(t, a+"/job:new", "amd64")
	err = merging(t, again, func(f *indexFlags, m *merge) error {
		return f.create(t.Context(), m, []string{a + "/app:v1", a + "/job:new"})
	})
	if err == nil || !strings.Contains(err.Error(), "is for linux/amd64, for which there is "+amd64.String()) {
		t.Errorf("got %v", err)
	}
	err = merging(t, again, func(f *indexFlags, m *merge) error { return f.append(t.Context(), m, []string{a + "/job:new"}) })
	if err != nil {
		t.Fatal(err)
	}
	x, lines := indexAt(t, a+"/app:v1")
	if !slices.Equal(lines, []string{"amd64 " + newer.String(), "arm64 " + arm64.String()}) || x.Annotations["k"] != "v" {
		t.Errorf("got %q, %v", lines, x.Annotations)
	}
}

func TestIndexSources(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{"empty.json": `{}`, "noise.json": `hello`} {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if ref, err := sourceReference(path); err == nil {
			t.Errorf("%s is taken for %s", file, ref)
		}
	}
	if ref, err := sourceReference("r.io/app@sha256:" + strings.Repeat("0", 64)); err != nil || ref.Context().Name() != "r.io/app" {
		t.Errorf("got %v, %v", ref, err)
	}
}

func TestInspect(t *testing.T) {
	host := serveRegistry(t)
	digest := pushImage(t, host+"/app:1", "arm64")
	var f registryFlags
	t.Setenv("HOME", t.TempDir())
	client, err := f.newClient(t.Context(), registry.Config{}, registry.Run)
	if err != nil {
		t.Fatal(err)
	}
	ref, _ := name.ParseReference(host + "/app:1")
	got, err := inspect(t.Context(), client, ref)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != digest || len(got.Images) != 1 || got.Images[0].Platform != "linux/arm64" || len(got.Images[0].Layers) != 2 {
		t.Errorf("got %+v", got)
	}
	var b strings.Builder
	if err := got.print(&b); err != nil || !strings.Contains(b.String(), "image    linux/arm64\n") {
		t.Errorf("got %v\n%s", err, b.String())
	}
}

package registry

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
)

// first picks the first entry.
func firstEntry(x *v1.IndexManifest) (v1.Descriptor, error) { return x.Manifests[0], nil }

// testLayout has an image tagged one and an index tagged two.
func testLayout(t *testing.T) (dir string, image v1.Image, index v1.ImageIndex) {
	t.Helper()
	dir = t.TempDir()
	x, err := random.Index(0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := layout.Write(dir, x)
	if err != nil {
		t.Fatal(err)
	}
	if image, err = random.Image(1000, 2); err != nil {
		t.Fatal(err)
	}
	if index, err = random.Index(1000, 2, 2); err != nil {
		t.Fatal(err)
	}
	tagged := func(tag string) layout.Option {
		return layout.WithAnnotations(map[string]string{annotationRefName: tag})
	}
	if err := p.AppendImage(image, tagged("one")); err != nil {
		t.Fatal(err)
	}
	if err := p.AppendIndex(index, tagged("example.org/app:two")); err != nil {
		t.Fatal(err)
	}
	return dir, image, index
}

func TestLayoutResolve(t *testing.T) {
	dir, image, index := testLayout(t)
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tag, digest string
		want        v1.Hash
	}{
		{"one", "", digest},
		{"", digest.String(), digest},
		{"two", "", x.Manifests[0].Digest},
		{"", x.Manifests[1].Digest.String(), x.Manifests[1].Digest}, // only in the inner index
	} {
		got, err := Layout{dir}.Resolve(c.tag, c.digest, firstEntry)
		if err != nil {
			t.Errorf("%s@%s: %v", c.tag, c.digest, err)
			continue
		}
		if got.Manifest.Descriptor.Digest != c.want {
			t.Errorf("%s@%s: got %s, want %s", c.tag, c.digest, got.Manifest.Descriptor.Digest, c.want)
		}
		for _, l := range got.Layers(t.Context()) {
			r, err := l.Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Error(err)
			}
			r.Close()
		}
	}
	for _, tag := range []string{"three", ""} {
		if _, err := (Layout{dir}).Resolve(tag, "", firstEntry); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("tag %q: got %v", tag, err)
		}
	}
}

// A layer that was changed, or cut, is noticed before its last bytes are given out.
func TestLayoutDamaged(t *testing.T) {
	dir, image, _ := testLayout(t)
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	damage := []func([]byte) []byte{
		func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		func(b []byte) []byte { return b[:len(b)-1] },
	}
	for i, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, damage[i](b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Layout{dir}.Resolve("one", "", firstEntry)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range got.Layers(t.Context()) {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrCorrupt) {
			t.Errorf("layer %d: got %v", i, err)
		}
		r.Close()
	}
}

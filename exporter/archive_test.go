package exporter

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

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

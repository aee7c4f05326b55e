package toyimage

import (
	"archive/tar"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func native() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// foreign is a platform that this machine is not.
func foreign() v1.Platform {
	if runtime.GOARCH == "arm64" {
		return v1.Platform{OS: "linux", Architecture: "amd64"}
	}
	return v1.Platform{OS: "linux", Architecture: "arm64"}
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		platform v1.Platform
		want     string
	}{
		{v1.Platform{OS: "linux", Architecture: "amd64"}, "GOARCH=amd64 GOAMD64=v1"},
		{v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}, "GOARCH=amd64 GOAMD64=v3"},
		{v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, "GOARCH=arm64"},
		{v1.Platform{OS: "linux", Architecture: "arm"}, "GOARCH=arm GOARM=7"},
		{v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, "GOARCH=arm GOARM=6"},
		{v1.Platform{OS: "linux", Architecture: "riscv64"}, "GOARCH=riscv64"},
	} {
		got, err := environment(c.platform)
		if err != nil || !strings.HasSuffix(strings.Join(got, " "), "GOOS=linux "+c.want) {
			t.Errorf("%s: got %q, %v; want %s at its end", c.platform, got, err, c.want)
		}
	}
	if _, err := environment(v1.Platform{OS: "windows", Architecture: "amd64"}); err == nil {
		t.Error("a platform that the toybox does not run on was accepted")
	}
}

// The second call finds what the first one built, also from another directory of the module.
func TestProgramIsBuiltOnce(t *testing.T) {
	first, err := Program(t.Context(), native())
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("../..")
	second, err := Program(t.Context(), native())
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(second)
	if err != nil || first != second || !os.SameFile(before, after) {
		t.Errorf("got %s and then %s (%v)", first, second, err)
	}
	t.Chdir(t.TempDir())
	if _, err := Program(t.Context(), native()); err == nil {
		t.Error("the source was found where it is not")
	}
}

// The program in the image for this machine runs, under the names that it has there.
func TestImageRuns(t *testing.T) {
	image, err := Image(t.Context(), native())
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	headers := unpack(t, image, root)
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin/sh"), "-c", "echo $((40 + 2)) | cat; sed -n 1p "+root+"/etc/passwd")
	cmd.Env = []string{"PATH=" + filepath.Join(root, "bin")}
	out, err := cmd.CombinedOutput()
	if want := "42\nroot:x:0:0:root:/root:/bin/sh\n"; err != nil || string(out) != want {
		t.Errorf("got %q, %v; want %q", out, err, want)
	}
	for name, mode := range map[string]int64{"tmp": 0o1777, "root": 0o700, "bin/toybox": 0o755} {
		if h := headers[name]; h == nil || h.Mode != mode {
			t.Errorf("%s is %+v, want the mode %o", name, h, mode)
		}
	}
	if h := headers["home/user"]; h == nil || h.Uid != 1000 || h.Gid != 1000 {
		t.Errorf("home/user is %+v, want it to be the user's", h)
	}
}

// unpack writes files and links of an image below root and returns the headers of all entries.
func unpack(t *testing.T, image v1.Image, root string) map[string]*tar.Header {
	t.Helper()
	headers := map[string]*tar.Header{}
	content := mutate.Extract(image)
	defer func() { _ = content.Close() }()
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := headers[h.Name]; ok {
			t.Errorf("%s is there twice", h.Name)
		}
		headers[h.Name] = h
		if err := unpackEntry(r, h, filepath.Join(root, h.Name), root); err != nil {
			t.Fatal(err)
		}
	}
}

func unpackEntry(r io.Reader, h *tar.Header, path, root string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o755)
	case tar.TypeLink:
		return os.Link(filepath.Join(root, h.Linkname), path)
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, path)
	}
	return nil
}

// An index for two platforms is valid, always the same, and survives being pushed.
func TestIndex(t *testing.T) {
	platforms := []v1.Platform{native(), foreign()}
	index, err := Index(t.Context(), platforms...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Index(t.Context(), platforms...)
	if err != nil {
		t.Fatal(err)
	}
	if digest(t, index) != digest(t, again) {
		t.Error("two calls returned different indexes")
	}
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	ref, err := name.ParseReference(strings.TrimPrefix(s.URL, "http://") + "/toybox:latest")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Index(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(pulled); err != nil {
		t.Error(err)
	}
	m, err := pulled.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range m.Manifests {
		got = append(got, d.Platform.String())
	}
	if want := []string{platforms[0].String(), platforms[1].String()}; !slices.Equal(got, want) {
		t.Errorf("got the platforms %q, want %q", got, want)
	}
}

func digest(t *testing.T, i v1.ImageIndex) v1.Hash {
	t.Helper()
	d, err := i.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

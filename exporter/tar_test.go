package exporter

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestTar(t *testing.T) {
	modified := time.Date(2020, 1, 2, 3, 4, 5, 600, time.UTC)
	owned := with(file("bin/tool", "content"), func(h *tar.Header) {
		h.Uid, h.Gid, h.Mode, h.ModTime, h.Format = 1000, 100, 0o4755, modified, tar.FormatPAX
		h.PAXRecords = map[string]string{"SCHILY.xattr.user.a": "b"}
	})
	entries := layers{{dir("bin"), owned, symlink("sh", "bin/tool"), {Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}}, {link("bin/hard", "bin/tool"), file("a", "")}}
	oneLayer := Result{Images: []Built{{Image: newImage(t, testConfig(), []v1.Layer{layerOf(t, slices.Concat(entries...)...)}, Options{}), Platform: amd64}}}
	twoLayers := Result{Images: []Built{{Image: newImage(t, testConfig(), []v1.Layer{layerOf(t, entries[0]...), layerOf(t, entries[1]...)}, Options{}), Platform: amd64}}}
	var a, b bytes.Buffer
	if _, err := (Tar{Stream: &a, Temp: t.TempDir()}).Write(t.Context(), oneLayer); err != nil {
		t.Fatal(err)
	}
	if _, err := (Tar{Stream: &b}).Write(t.Context(), twoLayers); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("the archive depends on how the layers are cut")
	}
	want := []string{"0 a", "5 bin/", "0 bin/hard", "1 bin/tool bin/hard", "3 null", "2 sh bin/tool"}
	r := tar.NewReader(&a)
	for _, line := range want {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(fmt.Sprintf("%c %s %s", h.Typeflag, h.Name, h.Linkname)); got != line {
			t.Errorf("got %q, want %q", got, line)
		}
		if h.Name == "bin/hard" && (h.Uid != 1000 || h.Gid != 100 || h.Mode != 0o4755 || !h.ModTime.Equal(modified) || h.PAXRecords["SCHILY.xattr.user.a"] != "b" || h.Size != 7) {
			t.Errorf("got %+v", h)
		}
		if h.Name == "null" && (h.Devmajor != 1 || h.Devminor != 3) {
			t.Errorf("got %+v", h)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("there is more in it: %v", err)
	}
}

// tarNames lists what an output writes.
func tarNames(t *testing.T, o Tar, r Result) ([]string, error) {
	t.Helper()
	var b bytes.Buffer
	o.Stream = &b
	if _, err := o.Write(t.Context(), r); err != nil {
		return nil, err
	}
	var names []string
	for tr := tar.NewReader(&b); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		names = append(names, h.Name)
		if epoch := r.Images[0].Epoch; epoch != nil && !h.ModTime.Equal(*epoch) {
			t.Errorf("%s is of %s", h.Name, h.ModTime)
		}
	}
}

func files(t *testing.T, p v1.Platform, entries ...tar.Header) Built {
	t.Helper()
	return Built{Image: newImage(t, testConfig(), []v1.Layer{layerOf(t, entries...)}, Options{}), Platform: p}
}

// old gives all files of an image a time.
func old(b Built) Built {
	b.Epoch = at(3)
	return b
}

// Several platforms get a directory each, unless that is not wanted and nothing is in two of them.
func TestPlatformSplit(t *testing.T) {
	armv7 := v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	arm64 := v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	a, b := files(t, armv7, file("bin/a", "1")), files(t, arm64, file("bin/b", "2"))
	yes, no := true, false
	for _, c := range []struct {
		r    Result
		f    Files
		want []string
	}{
		{Result{Images: []Built{a}}, Files{}, []string{"bin/", "bin/a"}},
		{Result{Images: []Built{a}}, Files{Split: &yes}, []string{"linux_arm_v7/", "linux_arm_v7/bin/", "linux_arm_v7/bin/a"}},
		{Result{Images: []Built{a}, Index: testIndex(t, a)}, Files{}, []string{"linux_arm_v7/", "linux_arm_v7/bin/", "linux_arm_v7/bin/a"}},
		{Result{Images: []Built{old(a), old(b)}}, Files{Split: &no}, []string{"bin/", "bin/a", "bin/b"}},
		{Result{Images: []Built{a, b}}, Files{Source: "/bin"}, []string{"linux_arm64/", "linux_arm64/b", "linux_arm_v7/", "linux_arm_v7/a"}},
	} {
		got, err := tarNames(t, Tar{Files: c.f}, c.r)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
	same := Result{Images: []Built{a, files(t, arm64, file("bin/a", "2"))}}
	if _, err := tarNames(t, Tar{Files: Files{Split: &no}}, same); err == nil || !strings.Contains(err.Error(), "/bin/a is in the images for linux/arm/v7 and for linux/arm64/v8") {
		t.Errorf("got %v", err)
	}
	if got := platformDir(v1.Platform{OS: "../..", Architecture: `a\b:c`}); got != "_.._a_b_c" {
		t.Errorf("got %q", got)
	}
}

// c-local-src: the source is looked up in the image, whatever its links say.
func TestSource(t *testing.T) {
	r := Result{Images: []Built{files(t, amd64, file("out/x", "1"), symlink("s", "/out"), symlink("up", "../../out"), file("f", "1"), symlink("loop", "loop"))}}
	for source, want := range map[string]string{"out": "x", "/s": "x", "up/.": "x", "../../s": "x"} {
		got, err := tarNames(t, Tar{Files: Files{Source: source}}, r)
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, %v", source, got, err)
		}
	}
	for source, want := range map[string]string{"none": "does not exist", "f": "not a directory", "f/x": "not a directory", "loop": "too many levels"} {
		if _, err := tarNames(t, Tar{Files: Files{Source: source}}, r); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "linux/amd64") {
			t.Errorf("%s: got %v", source, err)
		}
	}
}

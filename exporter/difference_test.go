package exporter

import (
	"archive/tar"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func compared(t *testing.T, config string, entries ...tar.Header) Compared {
	t.Helper()
	return Compared{Config: []byte(config), Layers: []v1.Layer{layerOf(t, dir("a")), layerOf(t, entries...)}}
}

// The first file that differs is named, and how.
func TestDifference(t *testing.T) {
	const config = `{"history":[{"created_by":"RUN mkdir a # buildkit"},{"created_by":"ENV X=y","empty_layer":true},{"created_by":"COPY . / # buildkit"}],"config":{"User":"me"}}`
	want := compared(t, config, dir("d"), file("d/x", "1"), file("d/y", "2"))
	for _, c := range []struct {
		got  Compared
		want string
	}{
		{want, ""},
		{compared(t, config, dir("d"), file("d/x", "1"), file("d/y", "3")), "layer 2 (COPY . /): /d/y: the content is another"},
		{compared(t, config, dir("d"), file("d/x", "1"), file("d/y", "22")), "/d/y: the size was 1 and is 2"},
		{compared(t, config, dir("d"), file("d/y", "2")), "/d/x: it is not there any more"},
		{compared(t, config, dir("d"), file("d/x", "1"), file("d/y", "2"), file("d/z", "")), "/d/z: it was not there before"},
		{compared(t, config, dir("d"), with(file("d/x", "1"), func(h *tar.Header) { h.Mode = 0o600 }), file("d/y", "2")), "/d/x: the mode was 0644 and is 0600"},
		{compared(t, config, dir("d"), with(file("d/x", "1"), func(h *tar.Header) { h.Uid = 7 }), file("d/y", "2")), "/d/x: the owner was 0:0 and is 7:0"},
		{compared(t, config, dir("d"), with(file("d/x", "1"), func(h *tar.Header) { h.ModTime = time.Unix(7, 0) }), file("d/y", "2")), "/d/x: the time was"},
		{compared(t, config, dir("d"), symlink("d/x", "y"), file("d/y", "2")), "/d/x: the type was 0 and is 2"},
		{compared(t, config, dir("d"), file("d/y", "2"), file("d/x", "1")), "the same files in another order"},
		{compared(t, strings.Replace(config, "me", "you", 1), dir("d"), file("d/x", "1"), file("d/y", "2")), `the config: it was "User": "me" and is "User": "you"`},
		{Compared{Config: want.Config, Layers: want.Layers[:1]}, "it had 2 layers and has 1"},
	} {
		got, err := Difference(want, c.got)
		if err != nil || !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
}

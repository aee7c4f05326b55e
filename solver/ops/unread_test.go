//go:build linux

package ops

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// history is an image of which only what its config says can be had.
type history string

func (h history) Layers(context.Context, solver.Image) ([]v1.Layer, error) {
	return nil, os.ErrPermission
}

func (h history) Mentions(_ solver.Image, text string) bool { return strings.Contains(string(h), text) }

// An image is not read for a file that is copied to a name that can only be free.
func TestFreeName(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"context/sub", "store"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"a.txt": "a", "sub/b.txt": "b"} {
		if err := os.WriteFile(filepath.Join(dir, "context", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub", filepath.Join(dir, "context", "link")); err != nil {
		t.Fatal(err)
	}
	store, err := snapshot.Open(filepath.Join(dir, "store"), snapshot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	image := solver.NewVertex(solver.Vertex{Op: solver.Image{Ref: "base"}})
	files := solver.NewVertex(solver.Vertex{Op: solver.Local{Name: "context", Dir: filepath.Join(dir, "context")}})
	inputs := []solver.Tree{{}, {Local: &solver.Files{Dir: filepath.Join(dir, "context")}}}

	for _, test := range []struct {
		source, dest, history string
		want                  string
	}{
		{"/a.txt", "/hello.txt", "RUN make", "hello.txt"},
		{"/a.txt", "/run-me.sh", "", "run-me.sh"},
		{"/sub/../a.txt", "/hello.txt", "", "hello.txt"},
		{"/a.txt", "/hello.txt", "RUN ln -s /usr/hello.txt /", ""}, // the image speaks of it
		{"/a.txt", "/hello", "", ""},                               // may be a directory
		{"/a.txt", "/conf.d", "", ""},
		{"/a.txt", "/hello.txt/", "", ""},
		{"/a.txt", "/etc/hello.txt", "", ""}, // /etc may be a link
		{"/a.txt", "/.hello", "", ""},
		{"/*.txt", "/hello.txt", "", ""},
		{"/sub", "/hello.txt", "", ""}, // merges with a directory
		{"/link", "/hello.txt", "", ""},
		{"/missing", "/hello.txt", "", ""},
	} {
		op := solver.Copy{Dest: test.dest, Sources: []solver.CopySource{{Input: 1, Path: test.source, Wildcards: true, Follow: true}}}
		v := solver.NewVertex(solver.Vertex{Op: op, Inputs: []*solver.Vertex{image, files}})
		w := &Worker{Store: store, Images: history(test.history)}
		got, err := w.freeName(v, op, inputs)
		if err != nil || got != test.want {
			t.Errorf("COPY %s %s on %q: got %q, %v; want %q", test.source, test.dest, test.history, got, err, test.want)
		}
	}
}

// What is known of an image that is not read is its root and the free name.
func TestUnreadImage(t *testing.T) {
	asked := false
	image := unreadImage{free: "hello.txt", FS: snapshot.Later(func() (snapshot.FS, error) {
		asked = true
		return nil, os.ErrPermission
	})}
	view := snapshot.NewView(image)
	if e, err := view.Lstat(""); err != nil || e.Kind != snapshot.Directory {
		t.Errorf("the root: got %v, %v", e, err)
	}
	if _, err := view.Lstat("hello.txt"); !notFound(err) {
		t.Errorf("the free name: got %v", err)
	}
	if asked {
		t.Error("the image was read for what is known")
	}
	if _, err := view.Lstat("etc"); !os.IsPermission(err) || !asked {
		t.Errorf("another name: got %v, want that the image is read", err)
	}
}

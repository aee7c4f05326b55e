//go:build linux

package ops

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// history is an image of which only the history can be had, a line for each layer.
type history string

func (h history) Layers(context.Context, solver.Image) ([]v1.Layer, error) {
	return nil, os.ErrPermission
}

func (h history) Config(solver.Image) []byte {
	var config v1.ConfigFile
	for line := range strings.SplitSeq(string(h), "\n") {
		config.History = append(config.History, v1.History{CreatedBy: line})
	}
	text, err := json.Marshal(config)
	if err != nil {
		panic(err)
	}
	return text
}

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
	blob, err := random.Layer(100, types.OCILayer)
	if err != nil {
		t.Fatal(err)
	}
	unread, err := store.Image(t.Context(), []v1.Layer{blob}, snapshot.Unix)
	if err != nil {
		t.Fatal(err)
	}
	inputs := []solver.Tree{{Layers: []v1.Layer{unread[0]}}, {Local: &solver.Files{Dir: filepath.Join(dir, "context")}}}

	for _, test := range []struct {
		source, dest, history string
		want                  string
	}{
		{"/a.txt", "/hello.txt", "RUN make", "hello.txt"},
		{"/a.txt", "/run-me.sh", "", "run-me.sh"},
		{"/sub/../a.txt", "/hello.txt", "", "hello.txt"},
		{"/a.txt", "/hello.txt", "RUN ln -s /usr/hello.txt /", ""},                          // the image speaks of it
		{"/a.txt", "/hello.txt", "ADD rootfs.tar /\nRUN make\nCOPY root/ / # buildkit", ""}, // nobody knows what is in root
		{"/a.txt", "/hello.txt", "ADD rootfs.tar /\nWORKDIR /app\nCOPY . . # buildkit", "hello.txt"},
		{"/a.txt", "/hello", "", ""}, // may be a directory
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

	// What is here is read.
	op := solver.Copy{Dest: "/hello.txt", Sources: []solver.CopySource{{Input: 1, Path: "/a.txt"}}}
	w := &Worker{Store: store, Images: history("")}
	local := solver.NewVertex(solver.Vertex{Op: solver.Image{Ref: "base", Layout: dir}})
	for _, test := range []struct {
		base  *solver.Vertex
		below solver.Tree
		want  string
	}{{image, inputs[0], "hello.txt"}, {local, inputs[0], ""}, {image, solver.Tree{}, ""}} {
		v := solver.NewVertex(solver.Vertex{Op: op, Inputs: []*solver.Vertex{test.base, files}})
		if got, err := w.freeName(v, op, []solver.Tree{test.below, inputs[1]}); err != nil || got != test.want {
			t.Errorf("%v upon %v: got %q, %v; want %q", test.base.Op, test.below, got, err, test.want)
		}
	}
}

// A history tells when a directory or an archive was copied to the root.
func TestFillsRoot(t *testing.T) {
	for lines, want := range map[history]bool{
		"": false,
		"ADD file:1 in /\n/bin/sh -c #(nop) COPY dir:2 in / ":                                           true,
		"ADD file:1 in /\n/bin/sh -c #(nop) COPY dir:2 in /app":                                         false,
		"ADD file:1 in /\nCOPY --chown=1:1 a.tar b / # buildkit":                                        true,
		"ADD file:1 in /\nCOPY --chown=1:1 a.tar b /x # buildkit":                                       false,
		"ADD file:1 in /\nADD . /./ # buildkit":                                                         true,
		"ADD file:1 in /\nADD . ./ # buildkit":                                                          true,
		"ADD file:1 in /\nWORKDIR app\nADD . ./ # buildkit":                                             false,
		"ADD file:1 in /\n/bin/sh -c #(nop) WORKDIR /app\n/bin/sh -c #(nop) COPY dir:2 in .":            false,
		"ADD file:1 in /\nWORKDIR /app\nWORKDIR ..\nCOPY --from=build /out . # buildkit":                true,
		"ADD file:1 in /\nRUN /bin/sh -c cp -a rootfs/. / # buildkit\nCMD [\"sh\"]\nENTRYPOINT [\"/\"]": false,
	} {
		if got := fillsRoot(lines.Config(solver.Image{})); got != want {
			t.Errorf("%s: got %v", lines, got)
		}
	}
	if !fillsRoot([]byte("{")) {
		t.Error("a config that cannot be read says nothing")
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

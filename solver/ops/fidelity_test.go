//go:build linux

package ops

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// past is when the files of the trees below were changed last.
var past = time.Unix(1_000_000_000, 0)

// bench is a worker with a store, and a base that things are copied to.
type bench struct {
	*Worker
	t    *testing.T
	base []*snapshot.Entry
}

func newBench(t *testing.T, base string) *bench {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &bench{Worker: &Worker{Store: store}, t: t, base: entries(t, base)}
}

// entries reads a tree, one file in a line: "d755 1:2 dir", "f644 0:0 file content", "l link target" or
// "h name file".
func entries(t *testing.T, text string) (list []*snapshot.Entry) {
	t.Helper()
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		e := &snapshot.Entry{ModTime: past}
		list = append(list, e)
		switch f[0][0] {
		case 'l':
			e.Kind, e.Path, e.Link, e.Mode = snapshot.Symlink, f[1], f[2], 0o777
			continue
		case 'h':
			e.Kind, e.Path, e.Link = snapshot.Hardlink, f[1], f[2]
			continue
		case 'd':
			e.Kind = snapshot.Directory
		}
		mode, err := strconv.ParseUint(f[0][1:], 8, 32)
		if err != nil {
			t.Fatal(err)
		}
		e.Mode, e.Path = uint32(mode), f[2]
		if _, err := fmt.Sscanf(f[1], "%d:%d", &e.UID, &e.GID); err != nil {
			t.Fatal(err)
		}
		if e.Kind == snapshot.Regular {
			content := strings.Join(f[3:], " ")
			e.Size = int64(len(content))
			e.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
		}
	}
	return list
}

// tree returns a tree of one layer.
func (b *bench) tree(list []*snapshot.Entry) solver.Tree {
	if len(list) == 0 {
		return solver.Tree{}
	}
	return solver.Tree{Layers: []v1.Layer{b.Store.NewLayer(b.t.Context(), snapshot.Listed(list), snapshot.Unix)}}
}

// run does an operation on the base, with one source beside it, and lists the layer as entries reads it.
func (b *bench) run(op solver.Op, source solver.Tree) (string, error) {
	b.t.Helper()
	base := solver.NewVertex(solver.Vertex{Op: solver.Scratch{}})
	if len(b.base) > 0 {
		base = solver.NewVertex(solver.Vertex{Op: solver.Image{Ref: "base"}})
	}
	from := solver.NewVertex(solver.Vertex{Op: solver.Inline{}})
	v := solver.NewVertex(solver.Vertex{Op: op, Inputs: []*solver.Vertex{base, from}})
	l, err := b.step(b.t.Context(), v, []solver.Tree{b.tree(b.base), source}, func(solver.Event) {})
	if err != nil {
		return "", err
	}
	r, err := l.Uncompressed()
	if err != nil {
		return "", err
	}
	defer r.Close()
	return list(r)
}

// list lists a tar archive. A file that is not as old as those of the trees is marked.
func list(r io.Reader) (string, error) {
	var lines strings.Builder
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return lines.String(), nil
		}
		if err != nil {
			return "", err
		}
		name := strings.Trim(h.Name, "/")
		switch h.Typeflag {
		case tar.TypeSymlink:
			fmt.Fprintf(&lines, "l %s %s", name, h.Linkname)
		case tar.TypeLink:
			fmt.Fprintf(&lines, "h %s %s", name, h.Linkname)
		case tar.TypeDir:
			fmt.Fprintf(&lines, "d%o %d:%d %s", h.Mode, h.Uid, h.Gid, name)
		default:
			content, err := io.ReadAll(archive)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&lines, "f%o %d:%d %s %s", h.Mode, h.Uid, h.Gid, name, content)
		}
		if !h.ModTime.Equal(past) && h.Typeflag != tar.TypeLink {
			lines.WriteString(" new")
		}
		lines.WriteString("\n")
	}
}

// lines removes what only makes a literal look well.
func lines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// source is a COPY argument as the frontend lowers it.
func source(path string) solver.CopySource {
	return solver.CopySource{Input: 1, Path: path, Wildcards: true, Contents: true, Follow: true}
}

// including is what COPY --parents makes of an argument.
func including(path string) solver.CopySource {
	return solver.CopySource{Input: 1, Path: "/", Contents: true, Include: []string{path}}
}

// What COPY makes of its source at its destination, as BuildKit does.
func TestCopyFidelity(t *testing.T) {
	const from = `
		d700 5:6 dir
		f4755 5:6 dir/file x
		h dir/hard dir/file
		d755 0:0 dir/sub
		l dir/sub/link ../file
		l link dir
	`
	for _, test := range []struct {
		name, base string
		op         solver.Copy
		want       string
	}{
		{"a directory's contents, its hard links and links", "", solver.Copy{Dest: "/to/", Sources: []solver.CopySource{source("/dir")}}, `
			d755 0:0 to
			f4755 5:6 to/file x
			h to/hard to/file
			d755 0:0 to/sub
			l to/sub/link ../file`},
		{"a linked directory is followed", "", solver.Copy{Dest: "/to", Sources: []solver.CopySource{source("/link/sub")}}, `
			d755 0:0 to
			l to/link ../file`},
		{"files of several sources are not linked", "", solver.Copy{Dest: "/to/", Sources: []solver.CopySource{source("/dir/file"), source("/dir/hard")}}, `
			d755 0:0 to new
			f4755 5:6 to/file x
			f4755 5:6 to/hard x`},
		{
			"a linked destination is followed", "d755 0:0 real\nl to /real",
			solver.Copy{Dest: "/to", Sources: []solver.CopySource{source("/dir/sub")}},
			`
			d755 0:0 real
			l real/link ../file`,
		},
		{
			"a link in the way of a file is replaced", "d755 0:0 to\nl to/file /etc",
			solver.Copy{Dest: "/to", Sources: []solver.CopySource{source("/dir/sub/../file")}},
			`
			d755 0:0 to
			f4755 5:6 to/file x`,
		},
		{
			"a directory that exists keeps its mode and owner", "d711 3:4 to",
			solver.Copy{Dest: "/to", Owner: "7:8", Mode: "750", Sources: []solver.CopySource{source("/dir/sub")}},
			`
			d711 3:4 to
			l to/link ../file`,
		},
		{
			"a directory that exists and is only passed through gets the mode of the source", "d755 0:0 to\nd711 3:4 to/dir",
			solver.Copy{Dest: "/to/", Owner: "7:8", Mode: "750", Sources: []solver.CopySource{including("dir/file"), including("dir/sub/link")}},
			`
			d755 0:0 to new
			d700 3:4 to/dir
			f750 7:8 to/dir/file x
			d750 7:8 to/dir/sub
			l to/dir/sub/link ../file`,
		},
		{
			"a directory that is only passed through gets the mode and the owner when it is new", "",
			solver.Copy{Dest: "/", Owner: "7:8", Mode: "4755", Sources: []solver.CopySource{including("dir/file")}},
			`
			d4755 7:8 dir
			f4755 7:8 dir/file x`,
		},
		{"missing parents get the mode and the owner", "", solver.Copy{Dest: "/a/b/", Owner: "7:8", Mode: "0750", Sources: []solver.CopySource{source("/dir/file")}}, `
			d750 7:8 a new
			d750 7:8 a/b new
			f750 7:8 a/b/file x`},
		{"a symbolic mode is for what is copied only", "", solver.Copy{Dest: "/a/", Mode: "go=u,a-x", Sources: []solver.CopySource{source("/dir/file")}}, `
			d755 0:0 a new
			f4666 5:6 a/file x`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, test.base)
			got, err := b.run(test.op, b.tree(entries(t, from)))
			if want := lines(test.want); err != nil || got != want {
				t.Errorf("got %v\n%swant\n%s", err, got, want)
			}
		})
	}
}

// What cannot be copied fails before anything of it is packed, and in the same words as with BuildKit.
func TestCopyConflicts(t *testing.T) {
	const from = `
		d755 0:0 dir
		d755 0:0 dir/a
		f644 0:0 dir/a/x x
		f644 0:0 file x
		d755 0:0 files
		f644 0:0 files/a x
		l away /outside
	`
	for _, test := range []struct{ name, base, path, dest, want string }{
		{"directory onto file", "f644 0:0 to x", "/dir", "/to", "cannot copy to non-directory: /to"},
		{"directory below onto file", "d755 0:0 to\nf644 0:0 to/a x", "/dir", "/to", "cannot copy to non-directory: /to/a"},
		{"directory below onto link", "d755 0:0 to\nl to/a /", "/dir", "/to", "cannot copy to non-directory: /to/a"},
		{"file below onto directory", "d755 0:0 to\nd755 0:0 to/a", "/files", "/to", "cannot replace to directory /to/a with file"},
		{"file as parent", "f644 0:0 to x", "/file", "/to/x/y", "cannot copy to non-directory: /to"},
		{"file that is said to be a directory", "f644 0:0 to x", "/file", "/to/", "cannot copy to non-directory: /to"},
		{"the same behind a link", "f644 0:0 to x\nl link to", "/file", "/link/.", "cannot copy to non-directory: /to"},
		{"nothing", "", "/nothing", "/to", `"/nothing": not found`},
		{"a link to nothing", "", "/away", "/to", `"/away": not found`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, test.base)
			_, err := b.run(solver.Copy{Dest: test.dest, Sources: []solver.CopySource{source(test.path)}}, b.tree(entries(t, from)))
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// What --parents names must be copied: a link in between, or an exclusion, makes it missing.
func TestCopyRequired(t *testing.T) {
	const from = "d755 0:0 a\nd755 0:0 a/b\nf644 0:0 a/b/x x\nf644 0:0 a/other x\nl link a"
	for _, test := range []struct{ pattern, exclude, want string }{
		{"a/b/x", "", "d755 0:0 a\nd755 0:0 a/b\nf644 0:0 a/b/x x\n"},
		{"a/b", "", "d755 0:0 a\nd755 0:0 a/b\nf644 0:0 a/b/x x\n"},
		{"link", "", "l link a\n"},
		{"link/b/x", "", ""},
		{"a/b/x", "**/x", ""},
		{"a/nothing", "", ""},
	} {
		s := source("/")
		s.Include, s.Required = []string{test.pattern}, []string{"/" + test.pattern}
		if test.exclude != "" {
			s.Exclude = []string{test.exclude}
		}
		b := newBench(t, "")
		got, err := b.run(solver.Copy{Dest: "/", Sources: []solver.CopySource{s}}, b.tree(entries(t, from)))
		if missing := fmt.Sprintf("%q: not found", "/"+test.pattern); test.want == "" && (err == nil || err.Error() != missing) {
			t.Errorf("%s: got %q, %v, want %s", test.pattern, got, err, missing)
		}
		if test.want != "" && (err != nil || got != test.want) {
			t.Errorf("%s: got %v\n%swant\n%s", test.pattern, err, got, test.want)
		}
	}
}

// WORKDIR gives the user all that it makes, and leaves alone what there is. Names need somewhere to be looked up.
func TestMkdirFidelity(t *testing.T) {
	const base = "d755 0:0 etc\nf644 0:0 etc/passwd joe:x:7:8::/:/bin/sh\nd700 3:4 home\nl there /home"
	for _, test := range []struct{ base, path, owner, want, err string }{
		{base, "/home/a/b", "joe", "d700 3:4 home\nd755 7:8 home/a new\nd755 7:8 home/a/b new\n", ""},
		{base, "/there/a", "joe:9", "d700 3:4 home\nd755 7:9 home/a new\n", ""},
		{base, "/home", "joe", "", ""},
		{base, "/a", "unknown", "d755 0:0 a new\n", ""},
		{base, "/etc/passwd", "", "", "/etc/passwd is not a directory"},
		{"", "/a", "5:6", "d755 5:6 a new\n", ""},
		{"", "/a", "joe", "", `"joe" cannot be looked up in a stage that begins from scratch: use a number`},
	} {
		got, err := newBench(t, test.base).run(solver.Mkdir{Path: test.path, Mode: 0o755, Owner: test.owner}, solver.Tree{})
		if message := fmt.Sprint(err); got != test.want || message != test.err && (err != nil || test.err != "") {
			t.Errorf("%s of %s: got %v\n%swant %s\n%s", test.path, test.owner, err, got, test.err, test.want)
		}
	}
}

// Odd names, ids and times come through unchanged.
func TestCopyOddities(t *testing.T) {
	odd := []*snapshot.Entry{}
	for i, e := range []snapshot.Entry{
		{Path: "a b"},
		{Path: "c\nd"},
		{Path: "e\xff\xfe"},
		{Path: strings.Repeat("n", 255)},
		{Path: "id", UID: 4294967294, GID: 4294967294},
		{Path: "old", ModTime: time.Unix(-1_000_000_000, 0)},
		{Path: "late", ModTime: time.Unix(5_000_000_000, 0)},
		{Path: "caps", Xattrs: map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "user.x": "y"}},
	} {
		e.Mode, e.Open = 0o644, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }
		if e.ModTime.IsZero() {
			e.ModTime = past.Add(time.Duration(i) * time.Second)
		}
		odd = append(odd, &e)
	}
	b := newBench(t, "")
	base := solver.NewVertex(solver.Vertex{Op: solver.Scratch{}})
	v := solver.NewVertex(solver.Vertex{Op: solver.Copy{Dest: "/to/", Sources: []solver.CopySource{source("/")}}, Inputs: []*solver.Vertex{base, base}})
	l, err := b.step(t.Context(), v, []solver.Tree{{}, b.tree(odd)}, func(solver.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	got := headers(t, l)
	for _, e := range odd {
		h := got["to/"+e.Path]
		if h == nil {
			t.Errorf("%q is missing", e.Path)
			continue
		}
		if uint32(h.Uid) != e.UID || uint32(h.Gid) != e.GID || !h.ModTime.Equal(e.ModTime) {
			t.Errorf("%q: got %d:%d of %v, want %d:%d of %v", e.Path, h.Uid, h.Gid, h.ModTime, e.UID, e.GID, e.ModTime)
		}
		for name, value := range e.Xattrs {
			if x := h.PAXRecords["SCHILY.xattr."+name]; x != value {
				t.Errorf("%q: %s is %q, want %q", e.Path, name, x, value)
			}
		}
	}
}

func headers(t *testing.T, l v1.Layer) map[string]*tar.Header {
	t.Helper()
	r, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := map[string]*tar.Header{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[strings.Trim(h.Name, "/")] = h
	}
}

// A thousand directories in each other are copied, whose path is longer than any system call takes.
func TestCopyDeep(t *testing.T) {
	var deep []*snapshot.Entry
	name := ""
	for range 1000 {
		name = strings.TrimPrefix(name+"/deep", "/")
		deep = append(deep, &snapshot.Entry{Path: name, Kind: snapshot.Directory, Mode: 0o755, ModTime: past})
	}
	b := newBench(t, "")
	got, err := b.run(solver.Copy{Dest: "/to/", Sources: []solver.CopySource{source("/")}}, b.tree(deep))
	if err != nil || strings.Count(got, "\n") != len(deep)+1 {
		t.Errorf("got %d entries, %v", strings.Count(got, "\n"), err)
	}
}

// A context is what its owner would see it as: all of it root's, without attributes, sockets as empty files.
func TestContextFidelity(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "file"), past, past); err != nil {
		t.Fatal(err)
	}
	listen(t, filepath.Join(dir, "socket"))
	b := newBench(t, "")
	got, err := b.run(solver.Copy{Dest: "/", Sources: []solver.CopySource{source("/")}}, solver.Tree{Local: &solver.Files{Dir: dir}})
	if want := "f600 0:0 file x\nf755 0:0 socket  new\n"; err != nil || got != want {
		t.Errorf("got %v\n%swant\n%s", err, got, want)
	}
}

// listen makes a socket.
func listen(t *testing.T, at string) {
	t.Helper()
	var c net.ListenConfig
	l, err := c.Listen(context.WithoutCancel(t.Context()), "unix", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := os.Chmod(at, 0o755); err != nil {
		t.Fatal(err)
	}
}

package exporter

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The entries of test layers, in short.
func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), Uname: content}
}

func dir(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}
}

func link(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
}

func symlink(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777}
}

func with(h tar.Header, change func(*tar.Header)) tar.Header {
	change(&h)
	return h
}

// archiveOf is a tar archive. The content of a file is in the name of its user.
func archiveOf(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := h.Uname
		h.Uname = ""
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func layerOf(t testing.TB, entries ...tar.Header) v1.Layer {
	t.Helper()
	return static.NewLayer(archiveOf(t, entries...), types.OCIUncompressedLayer)
}

// describe says what a tree has, one line for each name.
func describe(t testing.TB, tr *tree, s *spool) []string {
	t.Helper()
	var lines []string
	names := firstNames{}
	var walk func(n *node, at string)
	walk = func(n *node, at string) {
		for _, name := range n.names() {
			child := n.children[name]
			line := fmt.Sprintf("%c %s", child.kind, at+name)
			switch {
			case names.of(child, at+name) != "":
				line = fmt.Sprintf("1 %s = %s", at+name, names.of(child, at+name))
			case child.kind == tar.TypeReg:
				var b bytes.Buffer
				if err := s.copy(&b, child.content); err != nil {
					t.Fatal(err)
				}
				line += " " + b.String()
			case child.kind == tar.TypeSymlink:
				line += " -> " + child.target
			}
			lines = append(lines, line)
			if child.dir() {
				walk(child, at+name+"/")
			}
		}
	}
	walk(tr.root, "")
	return lines
}

func testSpool(t testing.TB) *spool {
	t.Helper()
	s, err := newSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	return s
}

func flattened(t testing.TB, layers ...[]tar.Header) ([]string, error) {
	t.Helper()
	s := testSpool(t)
	var all []v1.Layer
	for _, l := range layers {
		all = append(all, layerOf(t, l...))
	}
	tr, err := flatten(t.Context(), all, s)
	if err != nil {
		return nil, err
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
	return describe(t, tr, s), nil
}

type layers = [][]tar.Header

func TestFlatten(t *testing.T) {
	for _, c := range []struct {
		name string
		in   layers
		want []string
	}{
		{"order", layers{{file("b", "1"), file("a", "2")}}, []string{"0 a 2", "0 b 1"}},
		{"upper wins", layers{{file("a", "1")}, {file("a", "2")}}, []string{"0 a 2"}},
		{"implicit parents", layers{{file("a/b/c", "1")}}, []string{"5 a", "5 a/b", "0 a/b/c 1"}},
		{"whiteout", layers{{file("a", "1"), file("b", "2")}, {file(".wh.a", "")}}, []string{"0 b 2"}},
		{"whiteout of a directory", layers{{file("d/a", "1")}, {file(".wh.d", "")}}, nil},
		{"whiteout of nothing", layers{{file("a", "1")}, {file("x/y/.wh.z", ""), file("a/.wh.b", ""), file(".wh.c", "")}}, []string{"0 a 1"}},
		{"whiteout keeps its own layer", layers{{file("a", "1")}, {file("a", "2"), file(".wh.a", "")}}, []string{"0 a 2"}},
		{"whiteout and new directory", layers{{file("d/a", "1")}, {file(".wh.d", ""), dir("d"), file("d/b", "2")}}, []string{"5 d", "0 d/b 2"}},
		{"directory and its whiteout later", layers{{file("d/a", "1")}, {dir("d"), file("d/b", "2"), file(".wh.d", "")}}, []string{"5 d", "0 d/b 2"}},
		{"opaque", layers{{file("d/a", "1"), file("d/e/f", "1")}, {dir("d"), file("d/.wh..wh..opq", ""), file("d/b", "2")}}, []string{"5 d", "0 d/b 2"}},
		{"opaque comes last", layers{{file("d/a", "1")}, {dir("d"), file("d/b", "2"), file("d/.wh..wh..opq", "")}}, []string{"5 d", "0 d/b 2"}},
		{"aufs notes", layers{{file(".wh..wh.plnk", ""), file(".wh..wh.aufs", ""), file("a", "1")}}, []string{"0 a 1"}},
		{"t-flip", layers{{file("x", "1")}, {dir("x"), file("x/y", "2")}, {symlink("x", "z")}, {file("x", "3")}}, []string{"0 x 3"}},
		{"directory stays with its children", layers{{file("d/a", "1")}, {dir("d")}}, []string{"5 d", "0 d/a 1"}},
		{"t-xlayer-link", layers{{file("a", "1")}, {link("b", "a")}}, []string{"0 a 1", "1 b = a"}},
		{"link outlives its target", layers{{file("a", "1"), link("b", "a")}, {file(".wh.a", "")}}, []string{"0 b 1"}},
		{"link keeps old content", layers{{file("a", "1"), link("b", "a")}, {file("a", "2")}}, []string{"0 a 2", "0 b 1"}},
		{"t-link-self", layers{{file("a", "1"), link("a", "a")}}, []string{"0 a 1"}},
		{"absolute link", layers{{file("d/a", "1"), link("b", "/d/a")}}, []string{"0 b 1", "5 d", "1 d/a = b"}},
		{"link to a link", layers{{symlink("a", "x"), link("b", "a")}}, []string{"2 a -> x", "1 b = a"}},
		{"t-abs", layers{{file("/abs/pwn", "1")}}, []string{"5 abs", "0 abs/pwn 1"}},
		{"dots", layers{{file("./a/./b//c", "1")}}, []string{"5 a", "5 a/b", "0 a/b/c 1"}},
		{"t-symdir-abs", layers{{symlink("d", "/etc"), file("d/pwn", "1")}}, []string{"2 d -> /etc", "5 etc", "0 etc/pwn 1"}},
		{"t-symdir-rel", layers{{symlink("a/d", "../../../../etc"), file("a/d/pwn", "1")}}, []string{"5 a", "2 a/d -> ../../../../etc", "5 etc", "0 etc/pwn 1"}},
		{"t-symdir-2layers", layers{{dir("usr/lib"), symlink("lib", "usr/lib")}, {file("lib/x", "1")}}, []string{"2 lib -> usr/lib", "5 usr", "5 usr/lib", "0 usr/lib/x 1"}},
		{"t-symchain", layers{{symlink("a", "b"), symlink("b", "c"), dir("c"), file("a/x", "1")}}, []string{"2 a -> b", "2 b -> c", "5 c", "0 c/x 1"}},
		{"t-file-over-sym", layers{{symlink("a", "/etc/passwd")}, {file("a", "1")}}, []string{"0 a 1"}},
		{"t-wh-sym", layers{{file("d/a", "1"), symlink("s", "d")}, {file("s/.wh.a", "")}}, []string{"5 d", "2 s -> d"}},
		{"t-opq-sym", layers{{file("d/a", "1"), symlink("s", "d")}, {file("s/.wh..wh..opq", "")}}, []string{"5 d", "2 s -> d"}},
		{"t-char00", layers{{file("a", "1")}, {{Typeflag: tar.TypeChar, Name: "a"}}}, []string{"0 a 1"}},
		{"t-device", layers{{{Typeflag: tar.TypeBlock, Name: "sda", Devmajor: 8}, {Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}, {Typeflag: tar.TypeFifo, Name: "fifo"}}}, []string{"6 fifo", "3 null", "4 sda"}},
		{"t-unknown", layers{{with(file("z", ""), func(h *tar.Header) { h.Typeflag = 'Z' }), file("a", "1")}}, []string{"0 a 1"}},
		{"root", layers{{with(dir("."), func(h *tar.Header) { h.Mode = 0o700 }), file("a", "1")}}, []string{"0 a 1"}},
		{"t-names", layers{{file("a\nb", "1"), file("\xff\x1b[", "2")}}, []string{"0 a\nb 1", "0 \xff\x1b[ 2"}},
		{"global header", layers{{{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}, file("a", "1")}}, []string{"0 a 1"}},
		{"hole at the end", layers{{file("a", "x"+strings.Repeat("\x00", 3))}}, []string{"0 a x\x00\x00\x00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := flattened(t, c.in...)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Sort(c.want); !slices.Equal(slices.Sorted(slices.Values(got)), c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestFlattenRefuses(t *testing.T) {
	deep := strings.Repeat("d/", 4097)
	for _, c := range []struct {
		name string
		in   layers
		want string
	}{
		{"t-dotdot", layers{{file("../../canary/pwn", "1")}}, `entry "../../canary/pwn": it climbs`},
		{"t-dotdot inside", layers{{file("a/../../pwn", "1")}}, "it climbs"},
		{"t-hard-dotdot", layers{{link("a", "../../etc/passwd")}}, "it climbs"},
		{"t-hard-abs", layers{{link("a", "/etc/passwd")}}, `the link to "/etc/passwd"`},
		{"t-hard-via-sym", layers{{symlink("s", "/etc"), link("a", "s/passwd")}}, `the link to "s/passwd"`},
		{"t-link-dir", layers{{dir("d"), link("a", "d")}}, "it is a directory"},
		{"t-link-root", layers{{link("a", "/")}}, "it is a directory"},
		{"t-root-sym", layers{{symlink("./", "/etc")}}, "the root is not a directory"},
		{"t-symloop", layers{{symlink("a", "b"), symlink("b", "a"), file("a/x", "1")}}, "too many levels of symbolic links"},
		{"t-wh-dotdot", layers{{file(".wh...", "")}}, "not a valid whiteout"},
		{"t-wh-dot", layers{{file(".wh..", "")}}, "not a valid whiteout"},
		{"t-wh-empty", layers{{file(".wh.", "")}}, "not a valid whiteout"},
		{"below a file", layers{{file("a", "1"), file("a/b", "2")}}, "not a directory"},
		{"t-deep", layers{{file(deep+"x", "1")}}, "it is too deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := flattened(t, c.in...)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "reading layer 1: ") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// t-truncated, t-badsum: what is not a whole archive is refused.
func TestFlattenDamaged(t *testing.T) {
	whole := archiveOf(t, file("a", strings.Repeat("x", 2000)))
	spoilt := bytes.Clone(whole)
	spoilt[0] ^= 1
	for _, blob := range [][]byte{whole[:700], spoilt, []byte("no archive at all, but long enough to be taken for one" + strings.Repeat(".", 600))} {
		_, err := flatten(t.Context(), []v1.Layer{static.NewLayer(blob, types.OCIUncompressedLayer)}, testSpool(t))
		if err == nil {
			t.Errorf("%.20q was taken", blob)
		}
	}
}

// unreadable is a layer that fails at its end, as one with a wrong diff ID does.
type unreadable struct{ v1.Layer }

func (l unreadable) Uncompressed() (io.ReadCloser, error) {
	rc, err := l.Layer.Uncompressed()
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(rc, failing{}), rc}, err
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("its diff ID is wrong") }

// r-diffid: a layer is read to its end, where it is checked.
func TestFlattenReadsToTheEnd(t *testing.T) {
	_, err := flatten(t.Context(), []v1.Layer{unreadable{layerOf(t, file("a", "1"))}}, testSpool(t))
	if err == nil || !strings.Contains(err.Error(), "its diff ID is wrong") {
		t.Errorf("got %v", err)
	}
}

// t-sparse-bomb: a size that nobody can mean is refused before anything is written.
func TestFlattenBomb(t *testing.T) {
	h := file("bomb", "")
	h.Size = 1 << 40
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	err := newTree().apply(&b, 1, testSpool(t))
	if err == nil || !strings.Contains(err.Error(), "more in it than is allowed") {
		t.Errorf("got %v", err)
	}
}

// t-x-*: attributes that mean something to overlayfs are dropped, others are not.
func TestFlattenXattrs(t *testing.T) {
	s := testSpool(t)
	h := file("a", "1")
	h.PAXRecords = map[string]string{
		"SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.mine": "z",
		"SCHILY.xattr.security.capability": "c", "other": "x",
	}
	tr, err := flatten(t.Context(), []v1.Layer{layerOf(t, h)}, s)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tr.root.children["a"].xattrs, map[string]string{"user.mine": "z", "security.capability": "c"}; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzFlatten: whatever an archive holds, every name in the tree is below its root, and can be written.
func FuzzFlatten(f *testing.F) {
	f.Add(archiveOf(f, file("a/b", "1"), symlink("c", "../../.."), file("c/d", "2"), link("e", "a/b"), file("a/.wh..wh..opq", "")))
	f.Add(archiveOf(f, dir("x"), file("x/.wh.y", ""), tar.Header{Typeflag: tar.TypeChar, Name: "n", Devmajor: 1}))
	s := testSpool(f)
	f.Fuzz(func(t *testing.T, blob []byte) {
		s.size = 0
		tr := newTree()
		for layer := 1; layer < 3; layer++ {
			if err := tr.apply(bytes.NewReader(blob), layer, s); err != nil {
				return
			}
		}
		var check func(n *node)
		check = func(n *node) {
			for name, child := range n.children {
				if name == "" || name == "." || name == ".." || strings.Contains(name, "/") || child.parent != n {
					t.Fatalf("the tree has a name %q", name)
				}
				check(child)
			}
		}
		check(tr.root)
	})
}

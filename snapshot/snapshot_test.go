//go:build linux

package snapshot_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/snapshot"
)

// What layers mean upon each other, whichever way it is looked at.
func TestLayersMakeATree(t *testing.T) { eachDriver(t, testLayersMakeATree) }

func testLayersMakeATree(t *testing.T, openStore opener) {
	for _, c := range []struct {
		name   string
		layers [][]string
		want   []string
	}{
		{
			"a later layer replaces, removes and adds",
			[][]string{
				{"d 755 a", "f 644 a/x one", "f 644 a/y two", "f 644 b three"},
				{"f 600 a/x ONE", "w a/y", "w b", "f 644 c four"},
			},
			[]string{"d 755 a", "f 600 a/x ONE", "f 644 c four"},
		},
		{
			"an opaque directory hides what was in it",
			[][]string{{"d 755 a", "f 644 a/x 1", "d 755 a/d", "f 644 a/d/z 3"}, {"d 700 a", "o a", "f 644 a/y 2"}},
			[]string{"d 700 a", "f 644 a/y 2"},
		},
		{
			"an opaque marker without its directory keeps the metadata",
			[][]string{{"d 711 a", "f 644 a/x 1"}, {"o a", "f 644 a/y 2"}},
			[]string{"d 711 a", "f 644 a/y 2"},
		},
		{
			"a removed directory comes back empty",
			[][]string{{"d 755 a", "f 644 a/x 1"}, {"w a"}, {"d 755 a"}},
			[]string{"d 755 a"},
		},
		{
			"a parent without an entry is as it was below",
			[][]string{{"d 711 a", "d 1777 a/b"}, {"f 644 a/b/c x"}},
			[]string{"d 711 a", "d 1777 a/b", "f 644 a/b/c x"},
		},
		{
			"a parent without an entry anywhere",
			[][]string{{"f 644 a/b/c x"}},
			[]string{"d 755 a", "d 755 a/b", "f 644 a/b/c x"},
		},
		{
			"a file goes through a link of a layer below",
			[][]string{{"d 755 usr", "d 711 usr/bin", "l bin usr/bin", "f 755 usr/bin/old 1"}, {"f 755 bin/new 2", "f 755 bin/sub/x 3"}},
			[]string{"l bin usr/bin", "d 755 usr", "d 711 usr/bin", "f 755 usr/bin/new 2", "f 755 usr/bin/old 1", "d 755 usr/bin/sub", "f 755 usr/bin/sub/x 3"},
		},
		{
			"a directory replaces a link",
			[][]string{{"d 755 t", "f 644 t/x 1", "l a t"}, {"d 755 a", "f 644 a/y 2"}},
			[]string{"d 755 a", "f 644 a/y 2", "d 755 t", "f 644 t/x 1"},
		},
		{
			"links that lead out lead in",
			[][]string{{"l etc /../../../etc", "d 755 real", "l up ../../real"}, {"f 644 up/x 1"}},
			[]string{"l etc /../../../etc", "d 755 real", "f 644 real/x 1", "l up ../../real"},
		},
		{
			"a link within its own layer",
			[][]string{{"d 755 lib", "l lib64 lib", "f 644 lib64/x 1"}},
			[]string{"d 755 lib", "f 644 lib/x 1", "l lib64 lib"},
		},
		{
			"a directory through a link within its own layer",
			[][]string{{"d 755 lib", "l lib64 lib", "d 750 lib64/x", "f 644 lib64/x/y 1", "w lib64/z"}},
			[]string{"d 755 lib", "d 750 lib/x", "f 644 lib/x/y 1", "l lib64 lib"},
		},
		{
			"hard links to themselves",
			[][]string{{"d 755 lib", "l lib64 lib", "f 644 lib/x 1", "h lib/x lib/x", "h lib64/x lib/x"}},
			[]string{"d 755 lib", "f 644 lib/x 1", "l lib64 lib"},
		},
		{
			"a hard link through a link of a layer below",
			[][]string{{"d 755 usr", "d 711 usr/bin", "f 755 usr/bin/a 1", "l bin usr/bin"}, {"h bin/b usr/bin/a"}},
			[]string{"l bin usr/bin", "d 755 usr", "d 711 usr/bin", "f 755 usr/bin/a 1", "f 755 usr/bin/b 1"},
		},
		{
			"one name changes its kind",
			[][]string{{"f 644 a 1"}, {"d 755 a", "f 644 a/b 2"}, {"l a b"}, {"f 644 a 3"}},
			[]string{"f 644 a 3"},
		},
		{
			"hard links",
			[][]string{{"f 644 a 1", "h b a", "h c b"}, {"w a"}},
			[]string{"f 644 b 1", "h c b"},
		},
		{
			"a hard link to a file of a layer below is a copy",
			[][]string{{"f 4755 a 1"}, {"h b a", "w a"}},
			[]string{"f 4755 b 1"},
		},
		{
			"setuid, sticky and fifos",
			[][]string{{"f 6755 s x", "d 1777 tmp", "p 622 p", "d 2755 g", "f 644 g/f y"}},
			[]string{"d 2755 g", "f 644 g/f y", "p 622 p", "f 6755 s x", "d 1777 tmp"},
		},
		{
			"removals of nothing show nothing",
			[][]string{{"d 755 a", "w a/gone", "w gone"}, {"w a/gone", "w other", "d 755 b", "w b/x"}},
			[]string{"d 755 a", "d 755 b"},
		},
		{
			"a file within a layer is replaced by a later entry of the same name",
			[][]string{{"f 644 a 1", "f 600 a 2", "d 755 d", "f 644 d/x 1", "f 644 d 3"}},
			[]string{"f 600 a 2", "f 644 d 3"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openStore(t)
			var blobs []v1.Layer
			for _, lines := range c.layers {
				blobs = append(blobs, layerOf(t, lines...))
			}
			layers := image(t, s, blobs...)
			wantLines(t, mounted(t, s, layers), c.want)
			view, err := s.View(layers)
			if err != nil {
				t.Fatal(err)
			}
			wantLines(t, listing(t, view), c.want)
		})
	}
}

// A layer holds what was changed and nothing else.
func TestDiff(t *testing.T) { eachDriver(t, testDiff) }

func testDiff(t *testing.T, openStore opener) {
	base := []string{
		"d 755 a", "f 644 a/keep 1", "f 644 a/same 2", "f 644 a/gone 3", "d 755 a/sub", "f 644 a/sub/x 4",
		"d 755 b", "f 644 b/x 5", "l link a", "f 644 c 6", "h d c", "d 711 e", "f 644 e/f 7",
	}
	for _, c := range []struct {
		name string
		do   func(root string) error
		want []string
	}{
		{"nothing", func(string) error { return nil }, nil},
		{"a new file", func(r string) error { return os.WriteFile(r+"/new", []byte("n"), 0o640) }, []string{"f 640 new n"}},
		{"a new file in a directory", func(r string) error { return os.WriteFile(r+"/e/new", []byte("n"), 0o640) }, []string{"d 711 e", "f 640 e/new n"}},
		{"removing a file", func(r string) error { return os.Remove(r + "/a/gone") }, []string{"d 755 a", "w a/gone"}},
		{"removing a directory", func(r string) error { return os.RemoveAll(r + "/a") }, []string{"w a"}},
		{"replacing a directory", func(r string) error {
			return cmp(os.RemoveAll(r+"/a"), os.Mkdir(r+"/a", 0o700), os.WriteFile(r+"/a/same", []byte("N"), 0o600))
		}, []string{"d 700 a", "w a/gone", "w a/keep", "w a/sub", "f 600 a/same N"}},
		{"opening for writing without writing", func(r string) error {
			f, err := os.OpenFile(r+"/a/keep", os.O_RDWR, 0)
			return cmp(err, f.Close())
		}, nil},
		{"changing a mode", func(r string) error { return unix.Chmod(r+"/a/keep", 0o4711) }, []string{"d 755 a", "f 4711 a/keep 1"}},
		{"changing an owner", func(r string) error { return os.Chown(r+"/a/keep", 5, 6) }, []string{"d 755 a", "f 644 a/keep 1"}},
		{"changing a directory's mode", func(r string) error { return os.Chmod(r+"/b", 0o700) }, []string{"d 700 b"}},
		{"the same size and time, other bytes", func(r string) error {
			return cmp(os.WriteFile(r+"/a/keep", []byte("9"), 0), os.Chtimes(r+"/a/keep", time.Unix(1700000000, 0), time.Unix(1700000000, 0)))
		}, []string{"d 755 a", "f 644 a/keep 9"}},
		{"a directory becomes a file", func(r string) error {
			return cmp(os.RemoveAll(r+"/b"), os.WriteFile(r+"/b", []byte("f"), 0o644))
		}, []string{"f 644 b f"}},
		{"a link is followed and stays", func(r string) error { return os.WriteFile(r+"/link/keep", []byte("L"), 0o644) }, []string{"d 755 a", "f 644 a/keep L"}},
		{"hard links", func(r string) error {
			return cmp(os.WriteFile(r+"/n1", []byte("n"), 0o644), os.Link(r+"/n1", r+"/b/n2"))
		}, []string{"d 755 b", "f 644 b/n2 n", "h n1 b/n2"}},
		{"creating and removing", func(r string) error {
			return cmp(os.WriteFile(r+"/e/t", nil, 0o644), os.Remove(r+"/e/t"))
		}, []string{"d 711 e"}}, // its time changed
		{"sockets are left out", func(r string) error {
			return unix.Mknod(r+"/sock", unix.S_IFSOCK|0o600, 0)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openStore(t)
			layers := image(t, s, layerOf(t, base...))
			l := change(t, s, layers, func(r string) { must(t, c.do(r)) })
			want := mounted2(t, s, layers, c.do)
			wantLines(t, entriesOf(t, l), c.want)
			// The layer upon its base is the tree it was made from, here and in another store.
			wantLines(t, mounted(t, s, append(layers, l)), want)
			other := openStore(t)
			wantLines(t, mounted(t, other, image(t, other, layerOf(t, base...), l)), want)
		})
	}
}

// The content ID does not depend on times, on the form the layer is read from, or on the process.
func TestContentID(t *testing.T) { eachDriver(t, testContentID) }

func testContentID(t *testing.T, openStore opener) {
	s := openStore(t)
	layers := image(t, s, layerOf(t, "d 755 a", "f 644 a/x 1"))
	do := func(r string) {
		must(t, os.WriteFile(r+"/a/y", []byte("new"), 0o600))
		must(t, os.Remove(r+"/a/x"))
	}
	first, second := change(t, s, layers, do), change(t, s, layers, do)
	id1, err := first.ContentID()
	must(t, err)
	digest, err := second.Digest() // packed, which also finds the content ID
	must(t, err)
	id2, err := second.ContentID()
	must(t, err)
	if id1 != id2 {
		t.Errorf("the same change gave the content IDs %s and %s", id1, id2)
	}
	must(t, first.Keep())
	kept, err := s.Stored(t.Context(), id1)
	must(t, err)
	// A layer with the same content ships as the same bytes, though the times differ.
	again, err := kept.Digest()
	must(t, err)
	if again != digest {
		t.Errorf("the stored layer has digest %s, the packed one %s", again, digest)
	}
	if d, err := first.Digest(); err != nil || d != digest {
		t.Errorf("the first layer has digest %s (%v), want %s", d, err, digest)
	}
	wantLines(t, entriesOf(t, kept), []string{"d 755 a", "w a/x", "f 600 a/y new"})
	wantLines(t, mounted(t, s, append(layers, kept)), []string{"d 755 a", "f 600 a/y new"})
}

// A layer made of entries is the same packed, unpacked or read.
func TestNewLayer(t *testing.T) { eachDriver(t, testNewLayer) }

func testNewLayer(t *testing.T, openStore opener) {
	s := openStore(t)
	entries := func(yield func(*snapshot.Entry, error) bool) {
		text := func(s string) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
		}
		for _, e := range []*snapshot.Entry{
			{Path: "app", Kind: snapshot.Directory, Mode: 0o755},
			{Path: "app/a", Mode: 0o644, Size: 5, Open: text("hello")},
			{Path: "app/b", Kind: snapshot.Hardlink, Link: "app/a"},
			{Path: "app/c", Kind: snapshot.Symlink, Link: "a", Mode: 0o777},
		} {
			if !yield(e, nil) {
				return
			}
		}
	}
	want := []string{"d 755 app", "f 644 app/a hello", "h app/b app/a", "l app/c a"}
	base := image(t, s, layerOf(t, "d 711 .", "d 755 etc"))
	for name, first := range map[string]func(l *snapshot.Layer){
		"packed first":   func(l *snapshot.Layer) { _, err := l.Digest(); must(t, err) },
		"unpacked first": func(l *snapshot.Layer) { mounted(t, s, append(base, l)) },
		"hashed first":   func(l *snapshot.Layer) { _, err := l.ContentID(); must(t, err) },
		"read first":     func(l *snapshot.Layer) { _, err := l.FS(); must(t, err) },
	} {
		l := s.NewLayer(t.Context(), entries, snapshot.Unix)
		first(l)
		wantLines(t, entriesOf(t, l), want)
		view, err := s.View(append(slices.Clip(base), l))
		must(t, err)
		wantLines(t, listing(t, view), slices.Concat(want, []string{"d 755 etc"}))
		root, err := view.Lstat("")
		must(t, err)
		if root.Mode != 0o711 {
			t.Errorf("%s: the root has mode %o, want that of the base, 711", name, root.Mode)
		}
		wantLines(t, mounted(t, s, append(slices.Clip(base), l)), slices.Concat(want, []string{"d 755 etc"}))
	}
}

func TestXattrs(t *testing.T) { eachDriver(t, testXattrs) }

func testXattrs(t *testing.T, openStore opener) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_bind_service+ep, version 2
	must(t, w.WriteHeader(&tar.Header{Name: "f", Mode: 0o755, Typeflag: tar.TypeReg, Format: tar.FormatPAX, PAXRecords: map[string]string{
		"SCHILY.xattr.user.mine":             "x",
		"SCHILY.xattr.user.overlay.redirect": "/etc",
		"SCHILY.xattr.trusted.overlay.foo":   "y",
		"SCHILY.xattr.security.capability":   capability,
	}}))
	must(t, w.WriteHeader(&tar.Header{Name: "d", Mode: 0o755, Typeflag: tar.TypeDir, Format: tar.FormatPAX, PAXRecords: map[string]string{
		"SCHILY.xattr.user.overlay.opaque": "y",
	}}))
	must(t, w.Close())
	s := openStore(t)
	layers := image(t, s, layerOf(t, "d 755 d", "f 644 d/below 1"), blobOf(t, b.Bytes()))
	a, err := s.Prepare(layers)
	must(t, err)
	e, err := snapshot.NewDir(a.Root()).Lstat("f")
	must(t, err)
	if want := map[string]string{"user.mine": "x", "security.capability": capability}; !maps.Equal(e.Xattrs, want) {
		t.Errorf("the file has the attributes %q, want %q", e.Xattrs, want)
	}
	if _, err := snapshot.NewDir(a.Root()).Lstat("d/below"); err != nil {
		t.Errorf("an attribute in a layer hid a file of another: %v", err)
	}
	// A changed file takes its capability into the layer, in the form that does not name a user namespace.
	must(t, os.Chmod(fmt.Sprintf("/proc/self/fd/%d/f", a.Root().Fd()), 0o711))
	l, err := a.Commit(t.Context(), snapshot.Unix, func(e snapshot.Entries) snapshot.Entries { return e })
	must(t, err)
	r, err := l.Uncompressed()
	must(t, err)
	defer r.Close()
	for e, err := range snapshot.ReadTar(r, snapshot.Unix) {
		must(t, err)
		if e.Path == "f" && e.Xattrs["security.capability"] != capability {
			t.Errorf("the layer has the capability %q, want %q", e.Xattrs["security.capability"], capability)
		}
	}
}

// An image of as many layers as docker allows, and more.
func TestManyLayers(t *testing.T) { eachDriver(t, testManyLayers) }

func testManyLayers(t *testing.T, openStore opener) {
	s := openStore(t)
	var blobs []v1.Layer
	var want []string
	for i := range 200 {
		blobs = append(blobs, layerOf(t, fmt.Sprintf("f 644 f%03d %d", i, i)))
		want = append(want, fmt.Sprintf("f 644 f%03d %d", i, i))
	}
	wantLines(t, mounted(t, s, image(t, s, blobs...)), want)
}

func TestScratch(t *testing.T) { eachDriver(t, testScratch) }

func testScratch(t *testing.T, openStore opener) {
	s := openStore(t)
	l := change(t, s, nil, func(r string) { must(t, os.WriteFile(r+"/x", []byte("1"), 0o644)) })
	wantLines(t, entriesOf(t, l), []string{"f 644 x 1"})
}

// In a directory of the user no attribute means anything: a file that claims to be a whiteout is a file.
func TestForeignDirHasNoAttributes(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	must(t, os.WriteFile(name, nil, 0o600))
	must(t, unix.Setxattr(name, "user.overlay.whiteout", []byte("y"), 0))
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	e, err := snapshot.NewForeignDir(root).Lstat("f")
	must(t, err)
	if e.Kind != snapshot.Regular || e.Xattrs != nil {
		t.Errorf("it is of kind %v with the attributes %v", e.Kind, e.Xattrs)
	}
}

// A hard link to a file of a layer below is written when its directory has its time already, which stays.
func TestTimeOfDirectoryWithLink(t *testing.T) {
	s := openStore(t)
	layers := image(t, s, layerOf(t, "f 644 a 1"), layerOf(t, "d 755 d", "h d/b a"))
	view, err := s.View(layers)
	must(t, err)
	e, err := view.Lstat("d")
	must(t, err)
	if want := time.Unix(1700000000, 0); !e.ModTime.Equal(want) {
		t.Errorf("the directory is of %s, want %s", e.ModTime, want)
	}
}

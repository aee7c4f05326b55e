//go:build linux

package snapshot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/snapshot"
)

// plainTrees returns the inode numbers of the plain trees that a store has.
func plainTrees(t *testing.T, s *snapshot.Store) []uint64 {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.Temporary(), "plain-*"))
	must(t, err)
	inodes := make([]uint64, len(names))
	for i, n := range names {
		var st unix.Stat_t
		must(t, unix.Stat(n, &st))
		inodes[i] = st.Ino
	}
	return inodes
}

func openPlain(t *testing.T) *snapshot.Store {
	t.Helper()
	return openStoreIn(t, t.TempDir(), snapshot.DriverPlain)
}

func rootInode(t *testing.T, a *snapshot.Active) uint64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Fstat(int(a.Root().Fd()), &st))
	return st.Ino
}

func prepare(t *testing.T, s *snapshot.Store, layers ...*snapshot.Layer) *snapshot.Active {
	t.Helper()
	a, err := s.Prepare(layers)
	must(t, err)
	return a
}

func commit(t *testing.T, a *snapshot.Active) *snapshot.Layer {
	t.Helper()
	l, err := a.Commit(t.Context(), snapshot.Unix, func(e snapshot.Entries) snapshot.Entries { return e })
	must(t, err)
	return l
}

func writeIn(t *testing.T, a *snapshot.Active, name, content string) {
	t.Helper()
	must(t, os.WriteFile(fmt.Sprintf("/proc/self/fd/%d/%s", a.Root().Fd(), name), []byte(content), 0o644))
}

// The steps of a stage use one directory, and what one of them writes later does not reach the layer of an
// earlier one.
func TestPlainTreeIsTakenOver(t *testing.T) {
	s := openPlain(t)
	base := image(t, s, layerOf(t, "d 755 a", "f 644 a/x 1"))
	first := prepare(t, s, base...)
	root := rootInode(t, first)
	writeIn(t, first, "a/x", "2")
	layers := append(slices.Clip(base), commit(t, first))
	second := prepare(t, s, layers...)
	if got := rootInode(t, second); got != root {
		t.Errorf("the second step got the directory %d, want that of the first, %d", got, root)
	}
	writeIn(t, second, "a/x", "3")
	layers = append(layers, commit(t, second))
	// A step in between copied something: the rest is added to the directory.
	copied := []*snapshot.Entry{{Path: "a/x", Kind: snapshot.Whiteout}, {Path: "b", Kind: snapshot.Directory, Mode: 0o750}}
	layers = append(layers, s.NewLayer(t.Context(), snapshot.Listed(copied), snapshot.Unix))
	third := prepare(t, s, layers...)
	if got := rootInode(t, third); got != root {
		t.Errorf("the third step got the directory %d, want that of the others, %d", got, root)
	}
	wantLines(t, listing(t, snapshot.NewDir(third.Root())), []string{"d 755 a", "d 750 b"})
	third.Discard()
	wantLines(t, entriesOf(t, layers[1]), []string{"d 755 a", "f 644 a/x 2"})
	wantLines(t, entriesOf(t, layers[2]), []string{"d 755 a", "f 644 a/x 3"})
	wantLines(t, mounted(t, s, layers[:2]), []string{"d 755 a", "f 644 a/x 2"})
}

// Of several that want the same tree at once none sees what another does.
func TestPlainTreesAreApart(t *testing.T) {
	s := openPlain(t)
	base := image(t, s, layerOf(t, "d 755 a", "f 644 a/x 1", "f 644 a/y 1"))
	prepare(t, s, base...).Discard()
	var g sync.WaitGroup
	for i := range 6 {
		g.Go(func() {
			a, err := s.Prepare(base)
			if err != nil {
				t.Error(err)
				return
			}
			content := fmt.Sprint(i)
			if err := os.WriteFile(fmt.Sprintf("/proc/self/fd/%d/a/x", a.Root().Fd()), []byte(content), 0o644); err != nil {
				t.Error(err)
			}
			l, err := a.Commit(t.Context(), snapshot.Unix, func(e snapshot.Entries) snapshot.Entries { return e })
			if err != nil {
				t.Error(err)
				return
			}
			wantLines(t, entriesOf(t, l), []string{"d 755 a", "f 644 a/x " + content})
		})
	}
	g.Wait()
	if n := len(plainTrees(t, s)); n > 4 {
		t.Errorf("%d trees are kept although nobody uses them, want 4 at most", n)
	}
	must(t, s.Close())
	if n := len(plainTrees(t, s)); n > 0 {
		t.Errorf("%d trees are left after the store was closed", n)
	}
}

// A tree that was only read is used again, one that was written to and given up is not.
func TestPlainTreeIsDiscarded(t *testing.T) {
	s := openPlain(t)
	base := image(t, s, layerOf(t, "d 755 a", "f 644 a/x 1"))
	first := prepare(t, s, base...)
	root := rootInode(t, first)
	if _, err := first.Attach(); err != nil {
		t.Fatal(err)
	}
	first.Discard()
	second := prepare(t, s, base...)
	if got := rootInode(t, second); got != root {
		t.Errorf("the tree that was only read was not used again")
	}
	writeIn(t, second, "a/x", "2")
	second.Discard()
	if n := len(plainTrees(t, s)); n > 0 {
		t.Errorf("the tree that was given up is still there")
	}
	wantLines(t, mounted(t, s, base), []string{"d 755 a", "f 644 a/x 1"})
}

// A change is seen although it left size and time of the file as they were and came within the same tick of
// the clock as the copy.
func TestPlainChangeWithinATick(t *testing.T) {
	s := openPlain(t)
	base := image(t, s, layerOf(t, "f 644 x 1", "f 644 y 1"))
	for range 50 {
		a := prepare(t, s, base...)
		writeIn(t, a, "x", "2")
		name := fmt.Sprintf("/proc/self/fd/%d/x", a.Root().Fd())
		must(t, os.Chtimes(name, time.Unix(1700000000, 0), time.Unix(1700000000, 0)))
		wantLines(t, entriesOf(t, commit(t, a)), []string{"f 644 x 2"})
	}
}

// Files with several names stay one file, also in the layer, and are left out of it if nothing of them changed.
func TestPlainHardLinks(t *testing.T) {
	base := []string{"d 755 d", "f 644 a 1", "h d/b a", "f 644 c 2", "h d/e c"}
	for _, c := range []struct {
		name string
		do   func(root string) error
		want []string
	}{
		{"writing", func(r string) error { return os.WriteFile(r+"/d/b", []byte("3"), 0) }, []string{"f 644 a 3", "d 755 d", "h d/b a"}},
		{"another name", func(r string) error { return os.Link(r+"/a", r+"/n") }, []string{"f 644 a 1", "d 755 d", "h d/b a", "h n a"}},
		{"one name less", func(r string) error { return os.Remove(r + "/a") }, []string{"w a"}},
		{"the same mode", func(r string) error { return os.Chmod(r+"/a", 0o644) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openPlain(t)
			layers := image(t, s, layerOf(t, base...))
			l := change(t, s, layers, func(r string) { must(t, c.do(r)) })
			wantLines(t, entriesOf(t, l), c.want)
		})
	}
}

// Where the disk is full, trees that nobody uses make room.
func TestPlainTreesMakeRoom(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=6m,mode=700"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	s := openStoreIn(t, dir, snapshot.DriverPlain)
	big := "f 644 big " + strings.Repeat("x", 1<<20)
	first, second := image(t, s, layerOf(t, big)), image(t, s, layerOf(t, "f 644 other", big))
	// Each layer and each tree takes a MiB, and so does the filler: there is no room for the third of both.
	for _, layers := range [][]*snapshot.Layer{first, second} {
		prepare(t, s, layers...).Discard()
	}
	if n := len(plainTrees(t, s)); n != 2 {
		t.Fatalf("%d trees are kept, want 2", n)
	}
	filler := filepath.Join(dir, "filler")
	must(t, os.WriteFile(filler, make([]byte, 1<<20), 0o600))
	third := image(t, s, layerOf(t, "f 644 third", big))
	a := prepare(t, s, third...)
	defer a.Discard()
	if n := len(plainTrees(t, s)); n != 1 {
		t.Errorf("%d trees are there after the disk was full, want the new one alone", n)
	}
}

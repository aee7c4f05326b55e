//go:build linux

package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Whiteouts in files hide in overlayfs what they hide in a view.
func TestMarkedWhiteout(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"below/d", "above/d", "tree"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"below/d/gone", "below/d/kept", "above/d/gone"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := whiteoutMark.set(filepath.Join(dir, "above/d/gone"), yes); err != nil {
		t.Fatal(err)
	}
	if err := markHolder(filepath.Join(dir, "above/d")); err != nil {
		t.Fatal(err)
	}
	open := func(name string) *os.File {
		f, err := openDir(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	below, above := open("below"), open("above")
	upper, err := makeTree(filepath.Join(dir, "tree/1"))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := overlay{}.open(place{dir: filepath.Join(dir, "tree/1"), upper: upper, lower: []*os.File{below, above}})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.discard()
	for name, fsys := range map[string]FS{"view": NewView(NewDir(below), NewDir(above)), "overlayfs": NewDir(tree.root())} {
		if _, err := fsys.Lstat("d/gone"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: looking for what a marked file hides gives %v", name, err)
		}
		children, err := fsys.ReadDir("d")
		if err != nil || len(children) != 1 || children[0].Path != "d/kept" {
			t.Errorf("%s: the directory holds %v (%v), want d/kept alone", name, children, err)
		}
	}
}

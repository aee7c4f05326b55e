//go:build linux

package snapshot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// driver makes a tree writable.
type driver interface {
	// mount shows upper, the directory tree/fs, on top of the lower directories, lowest first, and returns
	// the root of what is seen.
	mount(tree string, upper *os.File, lower []*os.File) (root *os.File, err error)
}

// Active is a tree that can be written to. It ends with Commit or Discard.
type Active struct {
	store *Store
	below []*Layer
	tree  string
	upper *os.File
	root  *os.File
	// attached is where the tree is mounted, "" if nowhere.
	attached string
}

// Prepare makes the tree of layers, lowest first, writable.
func (s *Store) Prepare(layers []*Layer) (*Active, error) {
	lower, err := dirs(layers)
	if err != nil {
		return nil, err
	}
	below, err := viewOf(layers)
	if err != nil {
		return nil, err
	}
	a := &Active{store: s, below: layers, tree: s.temporary("tree")}
	if a.upper, err = makeTree(a.tree); err != nil {
		return nil, err
	}
	if err := a.copyRoot(below); err != nil {
		return nil, fmt.Errorf("preparing a tree: %w", err)
	}
	driver, err := s.driver()
	if err != nil {
		return nil, err
	}
	if lower, err = distinct(lower); err != nil {
		return nil, err
	}
	if a.root, err = driver.mount(a.tree, a.upper, lower); err != nil {
		return nil, fmt.Errorf("preparing a tree: %w", err)
	}
	return a, nil
}

// copyRoot gives the new directory the metadata of the tree's root, because that of the top is what shows.
func (a *Active) copyRoot(below *View) error {
	e, err := below.Lstat("")
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Join(a.tree, "fs"))
	if err != nil {
		return err
	}
	defer dir.Close()
	return setDirMetadata(dir, e, a.store.owners)
}

// Root returns the root directory of the tree: a mount that is attached nowhere, or a directory.
func (a *Active) Root() *os.File { return a.root }

// Attach makes the tree part of this process's file system, so that parts of it can be mounted elsewhere,
// and returns its root.
func (a *Active) Attach() (*os.File, error) {
	target, err := makeDir(a.tree, "merged")
	if err != nil {
		return nil, err
	}
	defer target.Close()
	err = unix.MoveMount(int(a.root.Fd()), "", int(target.Fd()), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return nil, fmt.Errorf("mounting a tree: %w", err)
	}
	a.attached = filepath.Join(a.tree, "merged")
	return a.root, nil
}

// Commit ends the tree and returns what was changed in it as a layer, whose entries pass through edit.
func (a *Active) Commit(ctx context.Context, edit func(Entries) Entries) (*Layer, error) {
	a.root.Close()
	below, err := viewOf(a.below)
	if err != nil {
		return nil, err
	}
	entries := Diff(NewDir(a.upper), below)
	return a.store.newUpper(ctx, a.tree, a.upper, edit(entries)), nil
}

// Discard ends the tree and forgets what was changed in it.
func (a *Active) Discard() {
	if a.attached != "" {
		_ = unix.Unmount(a.attached, unix.MNT_DETACH)
	}
	a.root.Close()
	a.upper.Close()
	_ = os.RemoveAll(a.tree)
}

// distinct drops all but the topmost of equal directories, which overlayfs refuses. Two steps that did the
// same give one; what the lower one shows or hides, the upper one shows or hides too.
func distinct(lower []*os.File) ([]*os.File, error) {
	seen := make(map[inode]bool, len(lower))
	kept := make([]*os.File, 0, len(lower))
	for _, l := range slices.Backward(lower) {
		var st unix.Stat_t
		if err := unix.Fstat(int(l.Fd()), &st); err != nil {
			return nil, fmt.Errorf("preparing a tree: %w", err)
		}
		id := inode{dev: st.Dev, ino: st.Ino}
		if !seen[id] {
			seen[id] = true
			kept = append(kept, l)
		}
	}
	slices.Reverse(kept)
	return kept, nil
}

// dirs returns the directories of layers, unpacking what is not unpacked, all at once.
func dirs(layers []*Layer) ([]*os.File, error) {
	open := make([]*os.File, len(layers))
	var g errgroup.Group
	for i, l := range layers {
		g.Go(func() (err error) { open[i], err = l.dir(); return err })
	}
	return open, g.Wait()
}

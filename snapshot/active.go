//go:build linux

package snapshot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// Active is a tree that can be written to. It ends with Commit or Discard.
type Active struct {
	store *Store
	// dir is the directory that holds what is made for the tree; upper in it is what is changed.
	dir   string
	upper *os.File
	below *View
	tree  workspace
}

// Prepare makes the tree of layers, lowest first, writable.
func (s *Store) Prepare(layers []*Layer) (*Active, error) { return s.prepareUpon(nil, layers) }

// PrepareRoot is [Store.Prepare] for a tree that a command is to run in: where the driver can, what is mounted for every
// command has a place in it.
func (s *Store) PrepareRoot(layers []*Layer) (*Active, error) {
	bottom, err := s.mountPoints()
	if err != nil {
		return nil, fmt.Errorf("making mount points: %w", err)
	}
	defer bottom.Close()
	return s.prepareUpon(bottom, layers)
}

func (s *Store) prepareUpon(bottom *os.File, layers []*Layer) (*Active, error) {
	a, err := s.prepare(bottom, layers)
	if err != nil {
		return nil, fmt.Errorf("preparing a tree: %w", err)
	}
	return a, nil
}

func (s *Store) prepare(bottom *os.File, layers []*Layer) (*Active, error) {
	lower, err := dirs(layers)
	if err != nil {
		return nil, err
	}
	below, err := viewOf(layers)
	if err != nil {
		return nil, err
	}
	driver, err := s.driver()
	if err != nil {
		return nil, err
	}
	a := &Active{store: s, below: below, dir: s.temporary("tree")}
	if a.upper, err = makeTree(a.dir); err != nil {
		return nil, err
	}
	if err = a.copyRoot(); err == nil {
		a.tree, err = driver.open(place{dir: a.dir, upper: a.upper, bottom: bottom, lower: lower, below: below})
	}
	if err != nil {
		a.remove()
		return nil, err
	}
	return a, nil
}

// copyRoot gives the new directory the metadata of the tree's root, because that of the top is what shows.
func (a *Active) copyRoot() error {
	e, err := a.below.Lstat("")
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Join(a.dir, "fs"))
	if err != nil {
		return err
	}
	defer dir.Close()
	return setDirMetadata(dir, e, a.store.owners)
}

// Below returns the tree as it was before anything was changed in it, for reading.
func (a *Active) Below() *View { return a.below }

// Root returns the root directory of the tree: a mount that is attached nowhere, or a directory.
func (a *Active) Root() *os.File { return a.tree.root() }

// Attach makes the tree part of this process's file system, so that parts of it can be mounted elsewhere,
// and returns its root.
func (a *Active) Attach() (*os.File, error) { return a.tree.root(), a.tree.attach() }

// Commit ends the tree and returns what was changed in it as a layer, whose entries pass through edit.
func (a *Active) Commit(ctx context.Context, form Form, edit func(Entries) Entries) (*Layer, error) {
	if err := a.tree.save(); err != nil {
		a.remove()
		return nil, fmt.Errorf("saving what was changed: %w", err)
	}
	upper, err := treeDir(a.upper)
	if err != nil {
		return nil, err
	}
	entries := Diff(upper, a.below)
	return a.store.newUpper(ctx, a.dir, a.upper, edit(entries), form), nil
}

// Discard ends the tree and forgets what was changed in it.
func (a *Active) Discard() {
	a.tree.discard()
	a.remove()
}

func (a *Active) remove() {
	a.upper.Close()
	_ = os.RemoveAll(a.dir)
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

//go:build linux

package snapshot

import (
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// plain is the driver for machines on which nothing can be mounted. A tree is a directory that holds a copy
// of every file of the layers, as a reference where the file system can. What a command changed in it is
// found by comparing it with what was noted before (see baseline), and copied into the upper directory.
//
// A tree is not thrown away when a step ends: it is then the tree of the layers and the new one, which
// the next step mostly begins with. So a stage copies its base once, however many commands it has.
type plain struct {
	store *Store
	// trusted reports whether times of files can be trusted, see trustsTimes.
	trusted func() (bool, error)

	mu sync.Mutex
	// idle are trees that nobody writes to, least recently used first.
	idle []*plainTree
}

// idleLimit bounds how many idle trees take room on the disk.
const idleLimit = 4

func newPlain(s *Store) *plain {
	return &plain{store: s, trusted: sync.OnceValues(func() (bool, error) { return trustsTimes(s.tmp) })}
}

// plainTree is a directory that holds the tree of some layers.
type plainTree struct {
	root *os.File
	path string
	// layers are the directories of the layers, lowest first.
	layers []inode
	// base is how the tree was when it was known to hold the layers.
	base *baseline
}

// open implements driver.
func (d *plain) open(p place) (workspace, error) { //nolint:ireturn // as driver has it
	layers := make([]inode, len(p.lower))
	for i, l := range p.lower {
		var err error
		if layers[i], err = inodeOf(l); err != nil {
			return nil, err
		}
	}
	w := &plainSpace{driver: d, place: p}
	err := d.store.withSpace(func() (err error) {
		w.tree, err = d.tree(layers, p.lower)
		return err
	})
	return w, err
}

// tree returns a tree of layers: an idle one, to which what it lacks is added, or a new one.
func (d *plain) tree(layers []inode, dirs []*os.File) (*plainTree, error) {
	t := d.take(layers)
	if t == nil {
		var err error
		if t, err = d.create(); err != nil {
			return nil, err
		}
	}
	if err := d.add(t, layers, dirs); err != nil {
		t.remove()
		return nil, err
	}
	return t, nil
}

func (d *plain) create() (*plainTree, error) {
	path := d.store.temporary("plain")
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	root, err := openDir(path)
	return &plainTree{root: root, path: path}, err
}

// add adds the layers that t lacks.
func (d *plain) add(t *plainTree, layers []inode, dirs []*os.File) error {
	if t.base != nil && len(t.layers) == len(layers) {
		return nil
	}
	trusted, err := d.trusted()
	if err != nil {
		return err
	}
	if err := mergeLayers(t.root, dirs[len(t.layers):], len(t.layers) == 0); err != nil {
		return err
	}
	t.layers = layers
	t.base, err = takeBaseline(t.root, trusted)
	return err
}

// take takes the idle tree that holds the most of layers and nothing else.
func (d *plain) take(layers []inode) *plainTree {
	d.mu.Lock()
	defer d.mu.Unlock()
	best := -1
	for i, t := range d.idle {
		if len(t.layers) <= len(layers) && slices.Equal(t.layers, layers[:len(t.layers)]) &&
			(best < 0 || len(t.layers) > len(d.idle[best].layers)) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	t := d.idle[best]
	d.idle = slices.Delete(d.idle, best, best+1)
	return t
}

// put keeps a tree for the next who wants it.
func (d *plain) put(t *plainTree) {
	d.mu.Lock()
	d.idle = append(d.idle, t)
	var surplus *plainTree
	if len(d.idle) > idleLimit {
		surplus = d.idle[0]
		d.idle = slices.Delete(d.idle, 0, 1)
	}
	d.mu.Unlock()
	if surplus != nil {
		surplus.remove()
	}
}

// clear removes all idle trees and reports whether there were any.
func (d *plain) clear() bool {
	d.mu.Lock()
	idle := d.idle
	d.idle = nil
	d.mu.Unlock()
	for _, t := range idle {
		t.remove()
	}
	return len(idle) > 0
}

func (t *plainTree) remove() {
	t.root.Close()
	_ = os.RemoveAll(t.path)
}

// plainSpace is a plain tree while it is written to.
type plainSpace struct {
	driver *plain
	place  place
	tree   *plainTree
}

func (w *plainSpace) root() *os.File { return w.tree.root }

// attach has nothing to do: the tree has a path.
func (w *plainSpace) attach() error { return nil }

// save copies what was changed into the upper directory, where it stays as it is while the tree is used by
// other steps.
func (w *plainSpace) save() error {
	changed, now, err := w.tree.base.compare(w.tree.root, w.place.below)
	if err == nil {
		err = w.driver.store.withSpace(func() error { return w.copyChanges(changed) })
	}
	var upper inode
	if err == nil {
		upper, err = inodeOf(w.place.upper)
	}
	if err != nil {
		w.tree.remove()
		return err
	}
	w.tree.layers, w.tree.base = append(slices.Clip(w.tree.layers), upper), now
	w.driver.put(w.tree)
	return nil
}

// copyChanges fills the upper directory, which an attempt that failed may have left half full.
func (w *plainSpace) copyChanges(changed *changedDir) error {
	upper, err := reopen(w.place.upper)
	if err != nil {
		return err
	}
	defer upper.Close()
	names, err := upper.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := os.RemoveAll(filepath.Join(w.place.dir, "fs", n)); err != nil {
			return err
		}
	}
	return saveChanges(w.tree.root, upper, changed)
}

// discard keeps the tree if nothing was changed in it.
func (w *plainSpace) discard() {
	changed, now, err := w.tree.base.compare(w.tree.root, w.place.below)
	if err != nil || !changed.empty() {
		w.tree.remove()
		return
	}
	w.tree.base = now
	w.driver.put(w.tree)
}

// reopen opens for reading what is open for reference only.
func reopen(dir *os.File) (*os.File, error) {
	return os.OpenFile(fdPath(dir)+"/.", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

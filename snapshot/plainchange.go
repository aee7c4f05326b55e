//go:build linux

package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// changedDir is what may have changed in one directory. It may say too much: what did not change in the end
// is left out when the layer is read (see Diff).
type changedDir struct {
	name string
	// self: the directory is new, or its metadata may have changed. replaced: it took the place of another, of
	// which nothing shows.
	self, replaced bool
	files          []changedFile
	// gone are names that were there.
	gone []string
	dirs []*changedDir
}

// changedFile is a file that is new or may have changed.
type changedFile struct {
	name string
	// group is nil unless the file has several names.
	group *linkGroup
}

// linkGroup is a file with several names of which something changed.
type linkGroup struct {
	// changed: it has a new name, or is not what it was.
	changed bool
	// same compares it, under one of its names, with what it was.
	same func() (bool, error)
}

func (d *changedDir) empty() bool {
	return !d.self && len(d.files) == 0 && len(d.gone) == 0 && len(d.dirs) == 0
}

// prune leaves out what turned out not to have changed, and reports whether nothing remains.
func (d *changedDir) prune() bool {
	d.files = slices.DeleteFunc(d.files, func(f changedFile) bool { return f.group != nil && !f.group.changed })
	d.dirs = slices.DeleteFunc(d.dirs, (*changedDir).prune)
	return d.empty()
}

// comparer finds out what changed in a tree.
type comparer struct {
	surveyor
	old   *baseline
	tree  Dir
	below *View

	mu     sync.Mutex
	groups map[inode]*linkGroup
}

// compare returns what changed in the tree below root since the baseline was taken, when it was what below is,
// and a new baseline.
func (b *baseline) compare(root *os.File, below *View) (*changedDir, *baseline, error) {
	c := &comparer{old: b, tree: NewDir(root), below: below, groups: map[inode]*linkGroup{}}
	c.crew = newCrew()
	c.latest.Store(b.latest)
	changed, now := &changedDir{}, &baseDir{}
	top, err := reopen(root)
	if err == nil {
		err = c.compare(top, "", b.root, now, changed)
	}
	if err = c.wait(err); err == nil {
		err = c.compareGroups()
	}
	if err != nil {
		return nil, nil, err
	}
	changed.prune()
	latest := c.latest.Load()
	if b.latest == math.MinInt64 {
		latest = b.latest
	}
	return changed, &baseline{root: now, latest: latest}, nil
}

// compare finds out what changed in the directory dir, which is at name in the tree and was as old says, nil
// if there was none or another. It closes dir.
func (c *comparer) compare(dir *os.File, name string, old, now *baseDir, changed *changedDir) error {
	defer dir.Close()
	children, err := c.note(dir, now)
	if err != nil {
		return fmt.Errorf("reading /%s: %w", name, err)
	}
	if old != nil && !now.succeeds(old) {
		changed.replaced, old = true, nil
	}
	if changed.self, err = c.changedSelf(dir, name, old, now); err != nil {
		return err
	}
	known := old.known()
	for i := range children {
		was, ok := known[children[i].name]
		if ok {
			delete(known, children[i].name)
		}
		if i < len(now.dirs) {
			err = c.compareDir(dir, name, was, now.dirs[i], changed)
		} else {
			err = c.compareFile(dir, name, &children[i], was, ok, changed)
		}
		if err != nil {
			return err
		}
	}
	for n := range known {
		changed.gone = append(changed.gone, n)
	}
	return nil
}

// changedSelf reports whether the directory dir, at name in the tree, is new or has other metadata.
func (c *comparer) changedSelf(dir *os.File, name string, old, now *baseDir) (bool, error) {
	if old == nil {
		return true, nil
	}
	if old.stamp == now.stamp && !c.doubtful(now.stamp) {
		return false, nil
	}
	same, err := c.same(dir, ".", name)
	return !same, err
}

// compareDir finds out what changed in a directory that is in dir.
func (c *comparer) compareDir(dir *os.File, parent string, was known, now *baseDir, changed *changedDir) error {
	sub, err := openat(dir, now.name)
	if err != nil {
		return err
	}
	below := &changedDir{name: now.name}
	changed.dirs = append(changed.dirs, below)
	return c.do(func() error { return c.compare(sub, path.Join(parent, now.name), was.dir, now, below) })
}

// compareFile finds out whether a file in dir, which is at parent in the tree, changed.
func (c *comparer) compareFile(dir *os.File, parent string, f *child, was known, ok bool, changed *changedDir) error {
	now := stampOf(&f.stat)
	there := ok && was.dir == nil
	switch {
	case f.stat.Mode&unix.S_IFMT == unix.S_IFSOCK, // not part of a layer
		there && was.stamp == now && !c.doubtful(now):
		return nil
	case f.stat.Nlink > 1:
		group := c.group(f, path.Join(parent, f.name), there && was.ino == now.ino)
		changed.files = append(changed.files, changedFile{f.name, group})
		return nil
	case there:
		same, err := c.same(dir, f.name, path.Join(parent, f.name))
		if err != nil || same {
			return err
		}
	}
	changed.files = append(changed.files, changedFile{name: f.name})
	return nil
}

// doubtful reports whether a file may have changed although its stamp did not.
func (c *comparer) doubtful(s stamp) bool { return s.ctime >= c.old.latest }

// group returns the group of a file with several names, of which one is at path. old: the file had this name.
func (c *comparer) group(f *child, path string, old bool) *linkGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := inode{dev: f.stat.Dev, ino: f.stat.Ino}
	g := c.groups[id]
	if g == nil {
		g = &linkGroup{same: func() (bool, error) { return c.samePath(path) }}
		c.groups[id] = g
	}
	g.changed = g.changed || !old
	return g
}

// compareGroups finds out which of the files with several names have changed, now that all names are known.
func (c *comparer) compareGroups() error {
	for _, g := range c.groups {
		if g.changed {
			continue
		}
		same, err := g.same()
		if err != nil {
			return err
		}
		g.changed = !same
	}
	return nil
}

// same reports whether what is called base in dir, at name in the tree, is what it was.
func (c *comparer) same(dir *os.File, base, name string) (bool, error) {
	now, err := c.tree.stat(dir, base, name)
	if err != nil {
		return false, err
	}
	return c.asBelow(now)
}

// samePath does so by the path alone.
func (c *comparer) samePath(name string) (bool, error) {
	now, err := c.tree.Lstat(name)
	if err != nil {
		return false, err
	}
	return c.asBelow(now)
}

func (c *comparer) asBelow(now *Entry) (bool, error) {
	old, err := c.below.Lstat(now.Path)
	if errors.Is(err, fs.ErrNotExist) { // a socket was there, which is not in the layers
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return sameFile(old, now)
}

//go:build linux

package snapshot

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// mergeChild is what directories that lie upon each other show under one name.
type mergeChild struct {
	name string
	// stat is that of the topmost.
	stat unix.Stat_t
	// in are the indexes of the directories that contribute to it: one, unless it is a directory.
	in []int
	// hidden: it is a whiteout. done: nothing further below shows. merged: it is a directory that was there.
	hidden, done, merged bool
}

func (c *mergeChild) isDir() bool { return !c.hidden && c.stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// makeRoom removes what is in the way.
func (c *mergeChild) makeRoom(to *os.File) error {
	if c.isDir() {
		var st unix.Stat_t
		err := unix.Fstatat(int(to.Fd()), c.name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) || err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return nil
		}
		if err != nil {
			return err
		}
	}
	_, err := removeAt(to, c.name)
	return err
}

// children lists what a directory shows.
func (d *mergeDir) children() ([]*mergeChild, error) {
	var all []*mergeChild
	found := map[string]*mergeChild{}
	for i, f := range d.from {
		names, err := f.Readdirnames(-1)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			c := found[n]
			if c == nil {
				c = &mergeChild{name: n}
				found[n] = c
				all = append(all, c)
			}
			if err := d.contribute(c, i); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// contribute adds what directory i has under the name of c.
func (d *mergeDir) contribute(c *mergeChild, i int) error {
	if c.done {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstatat(int(d.from[i].Fd()), c.name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	hides, err := d.hides(&st, c.name, i)
	if err != nil {
		return err
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	c.done = hides || !isDir
	switch {
	case c.in == nil:
		c.stat, c.hidden = st, hides
	case !isDir:
		return nil // it ends what shows of the directories above
	}
	c.in = append(c.in, i)
	return nil
}

func (d *mergeDir) hides(st *unix.Stat_t, name string, i int) (bool, error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return st.Rdev == 0, nil
	case unix.S_IFREG:
		if d.marked[i] && st.Size == 0 {
			return isWhiteout(fdPath(d.from[i]) + "/" + name)
		}
	}
	return false, nil
}

//go:build linux

package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// mergeLayers copies layers, lowest first, into root, upon what is there. fresh: nothing is.
func mergeLayers(root *os.File, layers []*os.File, fresh bool) error {
	to, err := reopen(root)
	if err != nil {
		return err
	}
	m := &merger{crew: newCrew(), copier: newCopier(root)}
	d := mergeDir{to: to, fresh: fresh}
	for _, l := range slices.Backward(layers) {
		if err := d.add(l, "."); err != nil {
			d.close()
			return err
		}
		if d.cut {
			break
		}
	}
	return m.wait(m.merge(d))
}

// merger copies what several directories show when they lie upon each other.
type merger struct {
	*crew
	*copier
}

// mergeDir is one directory to be copied.
type mergeDir struct {
	// path is where it is in the tree.
	path string
	to   *os.File
	// from are the directories that contribute to it, topmost first.
	from []*os.File
	// named is that of them whose metadata counts, nil if none says anything of it.
	named *os.File
	// marked holds for each of from whether some empty files in it are whiteouts.
	marked []bool
	// fresh: to is empty; cut: what is in it does not show.
	fresh, cut bool
}

// add adds the directory called name in dir, below those that were added.
func (d *mergeDir) add(dir *os.File, name string) error {
	f, err := openat(dir, name)
	if err != nil {
		return err
	}
	marks, err := readMarks(f)
	if err != nil {
		f.Close()
		return err
	}
	d.from = append(d.from, f)
	d.marked = append(d.marked, marks.whiteouts)
	if d.named == nil && !marks.implicit {
		d.named = f
	}
	d.cut = marks.opaque
	return nil
}

func (d *mergeDir) close() {
	d.to.Close()
	for _, f := range d.from {
		f.Close()
	}
}

// merge copies a directory and what is in it, and closes it.
func (m *merger) merge(d mergeDir) error {
	defer d.close()
	children, err := d.children()
	if err != nil {
		return fmt.Errorf("reading /%s: %w", d.path, err)
	}
	after, err := m.begin(d)
	if err == nil {
		err = m.put(d, children)
	}
	if err == nil {
		err = after.set(d.to)
	}
	if err != nil {
		return fmt.Errorf("copying /%s: %w", d.path, err)
	}
	for _, c := range children {
		if !c.isDir() {
			continue
		}
		sub, err := d.sub(c)
		if err != nil {
			return err
		}
		if err := m.do(func() error { return m.merge(sub) }); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the directory ready to be written to and returns the metadata that it is to have in the end.
func (m *merger) begin(d mergeDir) (dirMetadata, error) {
	named := d.named
	if named == nil {
		if d.fresh {
			return dirMetadata{mode: 0o755}, nil
		}
		named = d.to
	}
	after, err := readDirMetadata(named)
	if err != nil || d.fresh {
		return after, err
	}
	if d.cut {
		if err := removeChildren(d.to); err != nil {
			return after, err
		}
	}
	return after, loosen(d.to)
}

func removeChildren(dir *os.File) error {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, n := range names {
		if _, err := removeAt(dir, n); err != nil {
			return err
		}
	}
	return nil
}

// put makes what is in a directory, of its directories only themselves.
func (m *merger) put(d mergeDir, children []*mergeChild) error {
	for _, c := range children {
		if !d.fresh {
			if err := c.makeRoom(d.to); err != nil {
				return err
			}
		}
		var err error
		switch {
		case c.hidden:
		case c.isDir():
			if err = unix.Mkdirat(int(d.to.Fd()), c.name, 0o700); errors.Is(err, fs.ErrExist) && !d.fresh {
				c.merged, err = true, nil
			}
		default:
			err = m.copy(d.from[c.in[0]], c.name, &c.stat, d.to, path.Join(d.path, c.name))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// sub opens the directories that contribute to a child.
func (d *mergeDir) sub(c *mergeChild) (mergeDir, error) {
	to, err := openat(d.to, c.name)
	if err != nil {
		return mergeDir{}, err
	}
	sub := mergeDir{path: path.Join(d.path, c.name), to: to, fresh: !c.merged}
	for _, i := range c.in {
		if err := sub.add(d.from[i], c.name); err != nil {
			sub.close()
			return sub, err
		}
		if sub.cut {
			break
		}
	}
	sub.cut = sub.cut || c.done
	return sub, nil
}

// openat opens a directory in dir for reading.
func openat(dir *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

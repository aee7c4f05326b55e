//go:build linux

package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// settler settles a layer.
type settler struct {
	root   *os.File
	below  FS
	owners Owners
	// inventory, if not nil, notes what becomes of the layer.
	inventory *inventory
	// implicit are the directories left to settle, outer ones first.
	implicit []string
}

// settle finishes a layer that was unpacked on its own, now that the tree below it is known, so that it
// means the same as if it had been unpacked on top of that tree:
//
//   - a directory that has no entry takes the metadata of the one below; if that is a link to a
//     directory, what was meant to go through the link is moved to where it leads;
//   - a hard link to a file of a layer below becomes a copy of it, as in overlayfs;
//   - a whiteout that hides nothing is removed, because overlayfs shows it in a listing.
func (s *settler) settle(l loose) error {
	for name := range l.implicit {
		s.implicit = append(s.implicit, name)
	}
	slices.SortFunc(s.implicit, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	for len(s.implicit) > 0 {
		name := s.implicit[0]
		s.implicit = s.implicit[1:]
		if err := s.settleDir(name); err != nil {
			return fmt.Errorf("settling /%s: %w", name, err)
		}
	}
	for _, e := range l.links {
		if err := s.copyLinked(e); err != nil {
			return err
		}
	}
	return s.dropWhiteouts(l.whiteouts)
}

func (s *settler) settleDir(name string) error {
	dir, err := inroot.OpenReal(s.root, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // moved away with its parent
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	metadata := &Entry{Kind: Directory, Mode: 0o755, ModTime: time.Unix(0, 0)}
	old, err := s.below.Lstat(name)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && old.Kind == Directory:
		metadata = old
	case err == nil && old.Kind == Symlink:
		return s.moveThrough(name, dir)
	}
	if err := setDirMetadata(dir, metadata, s.owners); err != nil {
		return err
	}
	return s.inventory.addFound(s.root, name)
}

// moveThrough moves what is in the directory name to where the link of that name below leads.
func (s *settler) moveThrough(name string, dir *os.File) error {
	s.inventory.outdate()
	to, err := Resolve(s.below, name, true)
	if err != nil {
		return err
	}
	if to == name || strings.HasPrefix(to, name+"/") {
		return nil
	}
	target, err := inroot.Directory(s.root, to, func(parent *os.File, base string) error {
		s.implicit = append(s.implicit, s.pathOf(parent, base))
		return unix.Mkdirat(int(parent.Fd()), base, 0o755)
	})
	if err != nil {
		return err
	}
	defer target.Close()
	if err := mergeInto(dir, target); err != nil {
		return err
	}
	return unix.Unlinkat(int(s.root.Fd()), name, unix.AT_REMOVEDIR)
}

// pathOf returns the path in the layer of what is called base in dir.
func (s *settler) pathOf(dir *os.File, base string) string {
	rootPath, err1 := os.Readlink(fdPath(s.root))
	at, err2 := os.Readlink(fdPath(dir))
	if err1 != nil || err2 != nil {
		return base
	}
	return strings.Trim(path.Join(strings.TrimPrefix(at, rootPath), base), "/")
}

// mergeInto moves everything in from to to. Where both have a directory, they are merged.
func mergeInto(from, to *os.File) error {
	marks, err := readMarks(from)
	if err == nil && marks.whiteouts {
		err = markHolder(fdPath(to) + "/.")
	}
	if err != nil {
		return err
	}
	names, err := from.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, n := range names {
		err := unix.Renameat(int(from.Fd()), n, int(to.Fd()), n)
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
			err = mergeDirs(from, to, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func mergeDirs(from, to *os.File, name string) error {
	a, err := inroot.OpenReal(from, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := inroot.OpenReal(to, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := mergeInto(a, b); err != nil {
		return err
	}
	return unix.Unlinkat(int(from.Fd()), name, unix.AT_REMOVEDIR)
}

// copyLinked makes a copy of the file below that the hard link e names.
func (s *settler) copyLinked(e *Entry) error {
	at, err := Resolve(s.below, e.Link, false)
	if err != nil {
		return err
	}
	old, err := s.below.Lstat(at)
	if err != nil {
		return fmt.Errorf("the hard link %s is to %s, which is not in the image", e.Path, e.Link)
	}
	if old.Kind == Directory {
		return fmt.Errorf("the hard link %s is to the directory %s", e.Path, e.Link)
	}
	s.inventory.outdate()
	dir, err := s.moved(parent(e.Path))
	if err != nil {
		return err
	}
	copied := *old
	copied.Path = path.Join(dir, path.Base(e.Path))
	w, err := newDirWriter(s.root, s.owners)
	if err != nil {
		return err
	}
	defer w.leave()
	return s.keepingTime(dir, func(*os.File) error {
		_, err := w.put(&copied, false)
		return err
	})
}

// moved returns where the directory at name is now, which may have been moved through a link.
func (s *settler) moved(name string) (string, error) {
	dir, err := inroot.OpenReal(s.root, name, unix.O_PATH|unix.O_DIRECTORY)
	if err == nil {
		dir.Close()
		return name, nil
	}
	return Resolve(s.below, name, true)
}

func (s *settler) dropWhiteouts(names []string) error {
	for _, name := range names {
		_, err := s.below.Lstat(name)
		if err == nil {
			s.inventory.add(&Entry{Path: name, Kind: Whiteout})
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		e, err := NewDir(s.root).Lstat(name)
		if err != nil || !e.hides() {
			continue // replaced by something, or moved
		}
		if err := s.unlink(name); err != nil {
			return err
		}
	}
	return nil
}

// unlink removes a whiteout.
func (s *settler) unlink(name string) error {
	return s.keepingTime(parent(name), func(dir *os.File) error { return unix.Unlinkat(int(dir.Fd()), path.Base(name), 0) })
}

// keepingTime has change change what the directory at name holds, and leaves that with the time it had.
func (s *settler) keepingTime(name string, change func(dir *os.File) error) error {
	dir, err := inroot.OpenReal(s.root, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	if err := change(dir); err != nil {
		return err
	}
	ts := timespec(info.ModTime())
	return unix.UtimesNanoAt(unix.AT_FDCWD, fdPath(dir)+"/.", ts[:], 0)
}

//go:build linux

package snapshot

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// saveChanges copies what changed in the tree below root into the directory upper, which is empty, in the form
// in which overlayfs would have left it there.
func saveChanges(root, upper *os.File, changed *changedDir) error {
	from, err := reopen(root)
	if err != nil {
		return err
	}
	to, err := reopen(upper)
	if err != nil {
		from.Close()
		return err
	}
	s := &saver{crew: newCrew(), copier: newCopier(upper)}
	return s.wait(s.save(from, to, "", changed))
}

// saver copies what changed.
type saver struct {
	*crew
	*copier
}

// save saves what changed in the directory from, which is at name in the tree, to to, and closes both.
func (s *saver) save(from, to *os.File, name string, changed *changedDir) error {
	defer from.Close()
	defer to.Close()
	if err := s.saveDir(from, to, name, changed); err != nil {
		return fmt.Errorf("/%s: %w", name, err)
	}
	for _, d := range changed.dirs {
		below, err := openat(from, d.name)
		if err != nil {
			return err
		}
		saved, err := openat(to, d.name)
		if err != nil {
			below.Close()
			return err
		}
		if err := s.do(func() error { return s.save(below, saved, path.Join(name, d.name), d) }); err != nil {
			return err
		}
	}
	return nil
}

// saveDir saves what is in a directory, of its directories only themselves, and its metadata.
func (s *saver) saveDir(from, to *os.File, name string, changed *changedDir) error {
	if err := loosen(to); err != nil {
		return err
	}
	for _, f := range changed.files {
		var st unix.Stat_t
		err := unix.Fstatat(int(from.Fd()), f.name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil {
			err = s.copy(from, f.name, &st, to, path.Join(name, f.name))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	for _, n := range changed.gone {
		if err := putWhiteout(to, n); err != nil {
			return fmt.Errorf("marking %s as removed: %w", n, err)
		}
	}
	for _, d := range changed.dirs {
		if err := unix.Mkdirat(int(to.Fd()), d.name, 0o700); err != nil {
			return err
		}
	}
	if changed.replaced {
		if err := opaqueMark.set(fdPath(to)+"/.", yes); err != nil {
			return err
		}
	}
	metadata, err := readDirMetadata(from)
	if err != nil {
		return err
	}
	return metadata.set(to)
}

//go:build linux

package fetch

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// finish gives directories their modes and times, those inside before those outside: a directory that may
// not be searched any more hides what is in it.
func (u *unpacker) finish() error {
	names := slices.Sorted(maps.Keys(u.dirs))
	slices.Reverse(names)
	for _, name := range names {
		if err := u.finishDir(name); err != nil {
			return fmt.Errorf("unpacking %q: %w", name, err)
		}
	}
	return nil
}

func (u *unpacker) finishDir(name string) error {
	parent, err := inroot.Open(u.root, path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer parent.Close()
	d, err := inroot.OpenReal(parent, path.Base(name), unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOENT) {
		return nil // something else took its place
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := setTime(parent, path.Base(name), u.dirs[name].ModTime); err != nil {
		return err
	}
	return unix.Fchmod(int(d.Fd()), mode(u.dirs[name]))
}

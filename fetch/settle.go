//go:build linux

package fetch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// settle gives everything below dir the mode that it would have with a umask of 022, and, unless at is zero,
// the time at.
func settle(dir string, at time.Time) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.Type()&fs.ModeSymlink == 0 {
			if err := settleMode(name, e); err != nil {
				return err
			}
		}
		if e.IsDir() {
			dirs = append(dirs, name)
			return nil
		}
		return settleTime(name, at)
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(dirs) {
		if err := settleTime(name, at); err != nil {
			return err
		}
	}
	return nil
}

// settleMode lets everybody read and search what the owner may.
func settleMode(name string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	owner := info.Mode().Perm() & 0o700
	mode := owner | (owner&0o500)>>3 | (owner&0o500)>>6
	if mode == info.Mode().Perm() {
		return nil
	}
	return os.Chmod(name, mode)
}

func settleTime(name string, at time.Time) error {
	if at.IsZero() {
		return nil
	}
	ts, err := unix.TimeToTimespec(at)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

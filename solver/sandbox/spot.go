//go:build linux

package sandbox

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// spot is a place in a root directory: a name in a directory that is open, so that it stays the same whatever a
// command makes of the path that led to it.
type spot struct {
	parent *os.File
	name   string
	// before are the times that the directory had.
	before [2]unix.Timespec
	// device and inode identify what was placed.
	device, inode uint64
}

// spot returns the place that a path in the root leads to.
func (p *placement) spot(target string) (*spot, error) {
	there, err := inroot.Open(p.root.dir, target, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	at, err := pathOf(there)
	there.Close()
	if err != nil {
		return nil, err
	}
	if root, err := pathOf(p.root.dir); err != nil || root == at {
		return nil, errors.Join(err, errors.New("it leads to the root directory"))
	}
	parent, err := os.OpenFile(filepath.Dir(at), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(parent.Fd()), &st); err != nil {
		parent.Close()
		return nil, err
	}
	return &spot{parent: parent, name: filepath.Base(at), before: [2]unix.Timespec{st.Atim, st.Mtim}}, nil
}

func (s *spot) close() { s.parent.Close() }

// take moves what is at a path outside to s.
func (s *spot) take(from string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return err
	}
	s.device, s.inode = st.Dev, st.Ino
	return unix.Renameat(unix.AT_FDCWD, from, int(s.parent.Fd()), s.name)
}

// occupied reports whether what was taken is still there.
func (s *spot) occupied() bool {
	var st unix.Stat_t
	err := unix.Fstatat(int(s.parent.Fd()), s.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Dev == s.device && st.Ino == s.inode
}

// moveTo moves what is at s to a path outside.
func (s *spot) moveTo(path string) error {
	return unix.Renameat(int(s.parent.Fd()), s.name, unix.AT_FDCWD, path)
}

// restoreTimes gives the directory the times that it had.
func (s *spot) restoreTimes() {
	_ = unix.UtimesNanoAt(int(s.parent.Fd()), "", s.before[:], unix.AT_EMPTY_PATH)
}

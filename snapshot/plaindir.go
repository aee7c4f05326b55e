//go:build linux

package snapshot

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

// dirMetadata is what belongs to a directory. It is set when all in the directory is made.
type dirMetadata struct {
	uid, gid, mode uint32
	modified       unix.Timespec
	xattrs         map[string]string
}

// readDirMetadata reads the metadata of an open directory.
func readDirMetadata(dir *os.File) (dirMetadata, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return dirMetadata{}, err
	}
	xattrs, err := fileXattrs(dir)
	return dirMetadata{uid: st.Uid, gid: st.Gid, mode: st.Mode & 0o7777, modified: st.Mtim, xattrs: xattrs}, err
}

// set gives an open directory the metadata, and no attributes but those and marks.
func (m dirMetadata) set(dir *os.File) error {
	before, err := fileXattrs(dir)
	if err != nil {
		return err
	}
	for name := range before {
		_, stays := m.xattrs[name]
		if !stays && (kept(name) || name == ownership.Attribute) {
			if err := unix.Fremovexattr(int(dir.Fd()), name); err != nil && !errors.Is(err, unix.EPERM) {
				return err
			}
		}
	}
	fd := int(dir.Fd())
	if err := unix.Fchown(fd, int(m.uid), int(m.gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, m.mode); err != nil {
		return err
	}
	if err := carryXattrs(fdPath(dir)+"/.", m.xattrs); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, fdPath(dir)+"/.", []unix.Timespec{m.modified, m.modified}, 0)
}

// defaultACL is the attribute of a directory from which new files in it get their access lists.
const defaultACL = "system.posix_acl_default"

// loosen takes away from an open directory what new files in it would inherit, or what forbids to make them.
func loosen(dir *os.File) error {
	err := unix.Fremovexattr(int(dir.Fd()), defaultACL)
	if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return unix.Fchmod(int(dir.Fd()), 0o700)
}

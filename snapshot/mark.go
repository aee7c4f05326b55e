//go:build linux

package snapshot

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// mark is what the tree of a layer on disk says beyond what a directory can say: an extended attribute in one
// of the names that marks can have. Readers know all of them.
type mark string

const (
	// opaqueMark marks a directory of which nothing below shows, or (see hasWhiteouts) one that holds
	// whiteouts in files.
	opaqueMark mark = "opaque"
	// whiteoutMark marks an empty file that stands for a whiteout where no device can be made: on
	// overlayfs, or where a filter of system calls refuses it.
	whiteoutMark mark = "whiteout"
	// implicitMark marks a directory that a layer holds without saying anything of it: what the layers
	// below say counts.
	implicitMark mark = "implicit"
)

const (
	// yes is the value of a mark. hasWhiteouts is that of opaqueMark if the directory is not opaque but
	// holds marked files: without it overlayfs does not look (Linux 6.8).
	yes          = "y"
	hasWhiteouts = "x"
)

// names are the attributes that a mark can be in. With the mount option userxattr overlayfs reads the first,
// where an ordinary user can write; the second is for where overlayfs keeps the first for itself.
func (m mark) names() []string {
	if m == implicitMark { // overlayfs knows none
		return []string{"user.builder.implicit"}
	}
	return []string{"user.overlay." + string(m), "user.builder." + string(m)}
}

// set sets a mark on a file by its path.
func (m mark) set(path, value string) (err error) {
	for _, name := range m.names() {
		if err = unix.Lsetxattr(path, name, []byte(value), 0); err == nil {
			return nil
		}
	}
	return err
}

// of returns the value of a mark among attributes.
func (m mark) of(xattrs map[string]string) string {
	for _, name := range m.names() {
		if value, ok := xattrs[name]; ok {
			return value
		}
	}
	return ""
}

// putWhiteout makes a whiteout called name in dir. What is in the way is fs.ErrExist.
func putWhiteout(dir *os.File, name string) error {
	err := unix.Mknodat(int(dir.Fd()), name, unix.S_IFCHR, 0)
	if !refused(err) {
		return err
	}
	if err := unix.Mknodat(int(dir.Fd()), name, unix.S_IFREG, 0); err != nil {
		return err
	}
	at := fdPath(dir)
	if err := whiteoutMark.set(at+"/"+name, yes); err != nil {
		return err
	}
	return markHolder(at + "/.")
}

// markHolder marks a directory as one that holds marked files. In an opaque one they have nothing to hide.
func markHolder(path string) error {
	xattrs, err := readXattrs(path)
	if err != nil || opaqueMark.of(xattrs) != "" {
		return err
	}
	return opaqueMark.set(path, hasWhiteouts)
}

// refused reports whether something cannot be made here, whatever its name.
func refused(err error) bool {
	return slices.ContainsFunc([]error{unix.EPERM, unix.EACCES, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP}, func(e error) bool { return errors.Is(err, e) })
}

// dirMarks are the marks of a directory.
type dirMarks struct {
	opaque, implicit, whiteouts bool
}

// readMarks reads the marks of an open directory.
func readMarks(dir *os.File) (dirMarks, error) {
	xattrs, err := fileXattrs(dir)
	if err != nil || len(xattrs) == 0 {
		return dirMarks{}, err
	}
	value := opaqueMark.of(xattrs)
	return dirMarks{
		opaque: value == yes, whiteouts: value == hasWhiteouts, implicit: implicitMark.of(xattrs) == yes,
	}, nil
}

// isWhiteout reports whether the empty file at path stands for one.
func isWhiteout(path string) (bool, error) {
	xattrs, err := readXattrs(path)
	return whiteoutMark.of(xattrs) == yes, err
}

//go:build linux

package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
	"github.com/seed-298d225e/builder/ownership"
)

// Dir is a directory of the machine as an FS. What changes in it while it is read is seen or not, but
// nothing outside of it ever is.
type Dir struct {
	root *os.File
	// owners are those of files that cannot record them, see treeDir.
	owners map[string]ownership.Record
	// foreign: it is not a tree of ours, see NewForeignDir.
	foreign bool
}

// NewDir returns the FS of an open directory, which must stay open as long as the FS is used. Sockets are not
// part of it.
func NewDir(root *os.File) Dir { return Dir{root: root} }

// NewForeignDir is [NewDir] for a directory of the user: sockets are empty files, as in a context of BuildKit's, and
// extended attributes are not looked at, so that none of them can mean anything.
func NewForeignDir(root *os.File) Dir { return Dir{root: root, foreign: true} }

// Lstat returns the entry of a file.
func (d Dir) Lstat(name string) (*Entry, error) {
	if name == "" {
		return d.stat(d.root, ".", "")
	}
	dir, err := inroot.OpenReal(d.root, parent(name), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, notThere(err)
	}
	defer dir.Close()
	return d.stat(dir, path.Base(name), name)
}

// notThere says of a path that leads through something other than a directory that it does not exist.
func notThere(err error) error {
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// ReadDir lists a directory.
func (d Dir) ReadDir(name string) ([]*Entry, error) {
	dir, err := inroot.OpenReal(d.root, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, notThere(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	entries := make([]*Entry, 0, len(names))
	for _, n := range names {
		e, err := d.stat(dir, n, path.Join(name, n))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went while we looked
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	sortByName(entries)
	return entries, nil
}

// stat returns the entry of the file called base in dir, which is at name in the tree.
func (d Dir) stat(dir *os.File, base, name string) (*Entry, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	e := &Entry{
		Path: name, Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid,
		ModTime: time.Unix(st.Mtim.Unix()),
	}
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Kind, e.Size = Regular, st.Size
		e.stat = &stat{ctime: st.Ctim.Nano(), inode: st.Ino}
		e.Open = func() (io.ReadCloser, error) { return d.open(name) }
		if st.Nlink > 1 {
			e.inode = inode{dev: st.Dev, ino: st.Ino}
		}
	case unix.S_IFDIR:
		e.Kind = Directory
	case unix.S_IFLNK:
		e.Kind = Symlink
		e.Link, err = inroot.Readlink(dir, base)
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Kind, e.Major, e.Minor = CharDevice, unix.Major(st.Rdev), unix.Minor(st.Rdev)
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			e.Kind = BlockDevice
		}
	case unix.S_IFIFO:
		e.Kind = Fifo
	default:
		if !d.foreign {
			return nil, &fs.PathError{Op: "stat", Path: name, Err: errSocket}
		}
		e.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }
	}
	if err != nil {
		return nil, err
	}
	if d.foreign {
		return e, nil
	}
	if r, ok := d.owners[name]; ok && !e.holdsRecord() {
		applyRecord(e, r)
	}
	return e, d.addXattrs(e, dir, base)
}

// errSocket is fs.ErrNotExist: sockets are not part of a tree, as in every builder.
var errSocket = fmt.Errorf("a socket: %w", fs.ErrNotExist)

// addXattrs reads what is not in a stat: the attributes, and what they record.
func (d Dir) addXattrs(e *Entry, dir *os.File, base string) error {
	xattrs, err := readXattrs(fdPath(dir) + "/" + base)
	if err != nil || len(xattrs) == 0 {
		return err
	}
	if r, ok := ownership.Parse(xattrs[ownership.Attribute]); ok && !forged(e) {
		applyRecord(e, r)
	}
	e.Opaque = e.Kind == Directory && opaqueMark.of(xattrs) == yes
	e.implicit = implicitMark.of(xattrs) == yes
	if e.Kind == Regular && e.Size == 0 && whiteoutMark.of(xattrs) == yes {
		*e = Entry{Path: e.Path, Kind: Whiteout}
		return nil
	}
	for name := range xattrs {
		if !kept(name) {
			delete(xattrs, name)
		}
	}
	if len(xattrs) > 0 {
		e.Xattrs = xattrs
	}
	return nil
}

// fdPath is a path to what is open; one more name may be appended to that of a directory.
func fdPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// open opens a regular file for reading. A FIFO that took its place does not block.
func (d Dir) open(name string) (*os.File, error) {
	f, err := inroot.OpenReal(d.root, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("it is no longer a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

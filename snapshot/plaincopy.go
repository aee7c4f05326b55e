//go:build linux

package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
	"github.com/seed-298d225e/builder/ownership"
)

// copier copies files with all that belongs to them. Its methods may be called by many goroutines at once.
type copier struct {
	// root is the directory that all is copied to.
	root *os.File
	// buffers are []byte of bufferSize.
	buffers sync.Pool
	// noReflink: the file system cannot make references.
	noReflink atomic.Bool

	mu sync.Mutex
	// links hold how to copy each file that has several names, once.
	links map[inode]func() (first string, err error)
}

func newCopier(root *os.File) *copier {
	c := &copier{root: root, links: map[inode]func() (string, error){}}
	c.buffers.New = func() any { b := make([]byte, bufferSize); return &b }
	return c
}

// copy copies what is called name in from, of which st was read and which is not a directory, to to, where it
// is at path. Another name of a file that was copied before becomes a hard link.
func (c *copier) copy(from *os.File, name string, st *unix.Stat_t, to *os.File, path string) error {
	if st.Nlink < 2 {
		return c.copyNew(from, name, st, to)
	}
	id := inode{dev: st.Dev, ino: st.Ino}
	c.mu.Lock()
	once, ok := c.links[id]
	if !ok {
		once = sync.OnceValues(func() (string, error) { return path, c.copyNew(from, name, st, to) })
		c.links[id] = once
	}
	c.mu.Unlock()
	first, err := once()
	if err != nil || !ok {
		return err
	}
	return c.link(first, to, name)
}

// link makes another name of the file at first.
func (c *copier) link(first string, to *os.File, name string) error {
	f, err := inroot.OpenReal(c.root, first, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Linkat(unix.AT_FDCWD, fdPath(f), int(to.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}

func (c *copier) copyNew(from *os.File, name string, st *unix.Stat_t, to *os.File) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return c.copyFile(from, name, st, to)
	case unix.S_IFLNK:
		target, err := inroot.Readlink(from, name)
		if err != nil {
			return err
		}
		if err := unix.Symlinkat(target, int(to.Fd()), name); err != nil {
			return err
		}
	default:
		if err := c.makeNode(st, to, name); err != nil {
			return err
		}
	}
	if err := copyOwner(st, to, name); err != nil {
		return err
	}
	xattrs, err := readXattrs(fdPath(from) + "/" + name)
	if err == nil {
		err = carryXattrs(fdPath(to)+"/"+name, xattrs)
	}
	if err != nil {
		return err
	}
	return setTimeOf(st, to, name)
}

// makeNode makes a device, FIFO or socket. A device that cannot be made is recorded, as that of a layer is.
func (c *copier) makeNode(st *unix.Stat_t, to *os.File, name string) error {
	err := unix.Mknodat(int(to.Fd()), name, st.Mode, int(st.Rdev))
	r := ownership.Record{UID: st.Uid, GID: st.Gid, Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev), Mode: st.Mode & 0o7777}
	switch {
	case err == nil:
		return unix.Fchmodat(int(to.Fd()), name, st.Mode&0o7777, 0) // what the umask has taken
	case errors.Is(err, unix.EPERM) && st.Mode&unix.S_IFMT == unix.S_IFCHR:
		r.Device = 'c'
	case errors.Is(err, unix.EPERM) && st.Mode&unix.S_IFMT == unix.S_IFBLK:
		r.Device = 'b'
	default:
		return err
	}
	if err := unix.Mknodat(int(to.Fd()), name, unix.S_IFREG, 0); err != nil {
		return err
	}
	return ownership.Set(fdPath(to)+"/"+name, r)
}

// copyFile copies a regular file.
func (c *copier) copyFile(from *os.File, name string, st *unix.Stat_t, to *os.File) error {
	source, err := unix.Openat(int(from.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening it: %w", err)
	}
	defer closeFD(source)
	target, err := unix.Openat(int(to.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, st.Mode&0o777)
	if err != nil {
		return fmt.Errorf("creating it: %w", err)
	}
	defer closeFD(target)
	if err := c.copyContent(source, target, st); err != nil {
		return err
	}
	// The order matters: a change of owner clears the setuid bit and the capabilities.
	if err := copyOwner(st, to, name); err != nil {
		return err
	}
	if mode := st.Mode & 0o7777; mode != mode&0o777&^umask() {
		if err := unix.Fchmod(target, mode); err != nil {
			return err
		}
	}
	if n, err := unix.Flistxattr(source, nil); n > 0 || err != nil && !errors.Is(err, unix.ENOTSUP) {
		xattrs, err := readXattrs(fdPath(from) + "/" + name)
		if err == nil {
			err = carryXattrs(fdPath(to)+"/"+name, xattrs)
		}
		if err != nil {
			return err
		}
	}
	return setTimeOf(st, to, name)
}

// copyOwner gives the new file called name in dir the owner that st says, unless it has it.
func copyOwner(st *unix.Stat_t, dir *os.File, name string) error {
	if int(st.Uid) == os.Geteuid() && int(st.Gid) == os.Getegid() {
		return nil
	}
	return unix.Fchownat(int(dir.Fd()), name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
}

func setTimeOf(st *unix.Stat_t, dir *os.File, name string) error {
	return unix.UtimesNanoAt(int(dir.Fd()), name, []unix.Timespec{st.Mtim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// carryXattrs sets attributes that were read from another file of the store, also the record of its owner.
func carryXattrs(path string, xattrs map[string]string) error {
	if len(xattrs) == 0 {
		return nil
	}
	if record, ok := xattrs[ownership.Attribute]; ok {
		if err := unix.Lsetxattr(path, ownership.Attribute, []byte(record), 0); err != nil {
			return err
		}
	}
	return setXattrs(path, xattrs)
}

// fileXattrs returns the attributes of an open file, nil if it has none.
func fileXattrs(f *os.File) (map[string]string, error) {
	n, err := unix.Flistxattr(int(f.Fd()), nil)
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "listxattr", Path: f.Name(), Err: err}
	}
	return readXattrs(fdPath(f) + "/.")
}

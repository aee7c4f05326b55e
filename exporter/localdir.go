package exporter

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// localDir is an open directory. Everything is done relative to one, one name at a time, and no name is
// ever resolved through a link: what a link points at does not matter here.
type localDir struct{ f *os.File }

// openRoot opens the directory that the user named, which may be a link.
func openRoot(path string) (localDir, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	return localDir{f}, err
}

func (d localDir) fd() int { return int(d.f.Fd()) }

func (d localDir) close() { d.f.Close() }

// open opens a directory in d.
func (d localDir) open(name string) (localDir, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return localDir{}, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return localDir{os.NewFile(uintptr(fd), name)}, nil
}

// walk opens the directory that a path below d leads to, "" for d itself.
func (d localDir) walk(path string) (localDir, error) {
	at, err := d.open(".")
	for name := range strings.SplitSeq(path, "/") {
		if err != nil {
			return localDir{}, err
		}
		if name == "" {
			continue
		}
		var next localDir
		next, err = at.open(name)
		at.close()
		at = next
	}
	return at, err
}

// make opens a directory in d, and makes it if there is none. Anything else under that name is removed.
func (d localDir) make(name string) (localDir, error) {
	const private = 0o700
	err := unix.Mkdirat(d.fd(), name, private)
	if errors.Is(err, unix.EEXIST) {
		if kind, statErr := d.kind(name); statErr != nil || kind == unix.S_IFDIR {
			return d.reopen(name)
		}
		if err = d.remove(name); err == nil {
			err = unix.Mkdirat(d.fd(), name, private)
		}
	}
	if err != nil {
		return localDir{}, &os.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return d.open(name)
}

// reopen opens a directory that was there before, and makes sure that it can be written to.
func (d localDir) reopen(name string) (localDir, error) {
	const ours = 0o700
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd(), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return localDir{}, &os.PathError{Op: "open", Path: name, Err: err}
	}
	handle := os.NewFile(uintptr(fd), name)
	defer handle.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && st.Mode&ours != ours {
		_ = unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), st.Mode&0o7777|ours) // if it does not work, opening says so
	}
	return d.open(name)
}

// kind returns the S_IF constant of what has a name in d.
func (d localDir) kind(name string) (uint32, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return 0, err
	}
	return st.Mode & unix.S_IFMT, nil
}

// remove removes a name from d, and all below it. Nothing need have it.
func (d localDir) remove(name string) error {
	err := unix.Unlinkat(d.fd(), name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return &os.PathError{Op: "remove", Path: name, Err: err}
	}
	sub, openErr := d.reopen(name)
	if openErr != nil {
		return &os.PathError{Op: "remove", Path: name, Err: err}
	}
	defer sub.close()
	names, err := sub.names()
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := sub.remove(n); err != nil {
			return err
		}
	}
	if err := unix.Unlinkat(d.fd(), name, unix.AT_REMOVEDIR); err != nil {
		return &os.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// names lists d.
func (d localDir) names() ([]string, error) {
	list, err := d.open(".")
	if err != nil {
		return nil, err
	}
	defer list.close()
	return list.f.Readdirnames(-1)
}

// create makes a new file in d under a name that nothing has.
func (d localDir) create() (f *os.File, name string, err error) {
	name = tempName()
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd(), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return nil, "", &os.PathError{Op: "create", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), name, nil
}

// tempName is a name that nobody can foresee.
func tempName() string { return ".builder-" + rand.Text() }

// rename gives what is called from the name to, which may be a file's but not a directory's.
func (d localDir) rename(from, to string) error {
	if kind, err := d.kind(to); err == nil && kind == unix.S_IFDIR {
		if err := d.remove(to); err != nil {
			return err
		}
	}
	if err := unix.Renameat(d.fd(), from, d.fd(), to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// retry repeats a system call that was interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

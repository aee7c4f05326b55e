//go:build linux

// Package inroot reaches into directory trees that others have filled.
//
// A tree that came from an image or a Dockerfile may hold links to anywhere. Paths below it are
// therefore never joined to that of its root and handed to the system: the kernel resolves them with the
// root as "/" (openat2(2) with RESOLVE_IN_ROOT, since Linux 5.6), so that no link, "..", or race can lead
// out, and without following the magic links of /proc.
package inroot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links to nothing are followed while making what they lead to.
const maxLinks = 40

// Open opens a path below dir. Links are followed, with dir as "/".
func Open(dir *os.File, name string, flags int) (*os.File, error) {
	return open(dir, name, flags, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
}

// OpenReal opens a path below dir of which no part is a link; one that is gives ELOOP.
func OpenReal(dir *os.File, name string, flags int) (*os.File, error) {
	return open(dir, name, flags, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
}

func open(dir *os.File, name string, flags int, resolve uint64) (*os.File, error) {
	name = clean(name)
	if len(name) < unix.PathMax {
		return openShort(dir, name, flags, resolve)
	}
	cut := strings.LastIndexByte(name[:unix.PathMax-1], '/')
	if cut < 0 {
		return nil, &fs.PathError{Op: "open", Path: name[:maxName], Err: unix.ENAMETOOLONG}
	}
	head, err := openShort(dir, name[:cut], unix.O_PATH|unix.O_DIRECTORY, resolve)
	if err != nil {
		return nil, err
	}
	defer head.Close()
	// Links so far down would have to be resolved from the root again: they are refused.
	return open(head, name[cut+1:], flags, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
}

// maxName is the longest name of a file.
const maxName = 255

// openShort opens a path that the kernel takes in one piece.
func openShort(dir *os.File, name string, flags int, resolve uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: resolve}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	if name == "" {
		name = "."
	}
	for {
		fd, err := unix.Openat2(int(dir.Fd()), name, &how)
		if err == nil {
			return os.NewFile(uintptr(fd), name), nil
		}
		// EAGAIN: something was renamed while a ".." was resolved.
		if err != unix.EINTR && err != unix.EAGAIN {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

// clean returns name without "." and "..", relative to the root; the root itself is "".
func clean(name string) string { return path.Clean("/" + name)[1:] }

// Maker makes a directory called name in parent.
type Maker func(parent *os.File, name string) error

// Directory opens a directory below dir; it and its parents are made if they are missing, by mkdir or, if
// that is nil, with mode 0755. A link to nothing is followed: what it leads to is made.
func Directory(dir *os.File, name string, mkdir Maker) (*os.File, error) {
	if mkdir == nil {
		mkdir = func(parent *os.File, name string) error { return unix.Mkdirat(int(parent.Fd()), name, 0o755) }
	}
	return directory(dir, clean(name), mkdir, 0)
}

func directory(dir *os.File, name string, mkdir Maker, links int) (*os.File, error) {
	f, err := Open(dir, name, unix.O_PATH|unix.O_DIRECTORY)
	if !errors.Is(err, fs.ErrNotExist) || name == "" {
		return f, err
	}
	parent, err := directory(dir, path.Dir(name), mkdir, links)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	base := path.Base(name)
	if to, err := Readlink(parent, base); err == nil {
		if links == maxLinks {
			return nil, &fs.PathError{Op: "mkdir", Path: name, Err: unix.ELOOP}
		}
		return directory(dir, Target(name, to), mkdir, links+1)
	}
	if err := mkdir(parent, base); err != nil && !errors.Is(err, fs.ErrExist) { // another process may be making it
		return nil, &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return OpenReal(parent, base, unix.O_PATH|unix.O_DIRECTORY)
}

// Target returns where a link at name that holds to leads, relative to the root.
func Target(name, to string) string {
	if path.IsAbs(to) {
		return clean(to)
	}
	return clean(path.Join(path.Dir("/"+name), to))
}

// Readlink returns what the link called name in dir holds.
func Readlink(dir *os.File, name string) (string, error) {
	for size := 256; ; size *= 2 {
		b := make([]byte, size)
		n, err := unix.Readlinkat(int(dir.Fd()), name, b)
		if err != nil {
			return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
		}
		if n < size {
			return string(b[:n]), nil
		}
	}
}

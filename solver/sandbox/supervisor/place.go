//go:build linux

package supervisor

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// place is a path as a task gives it: from a directory, or from the task's root.
type place struct {
	dir  int
	path string
	// follow: a link at the end of the path is followed.
	follow bool
}

// place reads the path at argument i, relative to the descriptor in argument dir; dir -1 is the working directory.
func (t *task) place(dir, i int, follow bool) (place, error) {
	p := place{dir: unix.AT_FDCWD, follow: follow}
	if dir >= 0 {
		p.dir = t.fd(dir)
	}
	var err error
	p.path, err = t.text(t.args[i])
	return p, err
}

// open opens a place for reference only. An empty path is what the descriptor of the place is open at. Each directory
// of the path must be open to the task.
func (t *task) open(p place) (file, error) {
	who := t.identity()
	if !who.root() {
		return t.openAs(p, who)
	}
	if p.path == "" {
		return t.descriptor(p.dir)
	}
	if name, ok := t.ownProc(p); ok {
		if isLink(name) && shownOfProcess(name) {
			return t.openLink(name)
		}
		p.path = "/proc/" + t.number() + "/" + name
	}
	flags := 0
	if !p.follow {
		flags = unix.O_NOFOLLOW
	}
	return t.openPath(p, flags)
}

// openTarget opens the place that a call is about, for a task that would be somebody.
func (t *task) openTarget(of target, who identity) (file, error) {
	p, err := of(t)
	if err != nil {
		return file{}, err
	}
	return t.openAs(p, who)
}

// openAs opens a place as open does, for a task that would be somebody.
func (t *task) openAs(p place, who identity) (file, error) {
	if p.path == "" {
		return t.descriptor(p.dir)
	}
	e, err := t.find(p, who)
	if err != nil {
		return file{}, err
	}
	return e.take()
}

// openPath opens a path as the task would if it were root, but for reference only.
func (t *task) openPath(p place, flags int) (file, error) {
	name, err := t.absolute(p)
	if err != nil {
		return file{}, err
	}
	root := t.rootFD
	if t.moved {
		own, err := t.openLink("root")
		if err != nil {
			return file{}, err
		}
		defer own.close()
		root = own.fd
	}
	fd, err := resolve(root, name, unix.O_PATH|flags, 0)
	if err != nil {
		return file{}, err
	}
	return stat(fd)
}

// resolve opens a path with root as "/".
func resolve(root int, name string, flags int, mode uint32) (int, error) {
	how := unix.OpenHow{
		Flags: uint64(flags) | unix.O_CLOEXEC, Mode: uint64(mode), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(root, name, &how)
		// EAGAIN: something was renamed while a ".." was resolved.
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// absolute returns the path of a place from the task's root.
func (t *task) absolute(p place) (string, error) {
	if strings.HasPrefix(p.path, "/") {
		return p.path, nil
	}
	var base string
	var err error
	t.as(func() { base, err = readlink(t.proc(descriptorLink(p.dir))) })
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(base, "/") || strings.HasSuffix(base, " (deleted)") {
		return "", unix.ENOENT
	}
	return t.inside(base) + "/" + p.path, nil
}

// descriptorLink is the name that a descriptor, or the working directory, has in a task's directory in /proc.
func descriptorLink(fd int) string {
	if fd == unix.AT_FDCWD {
		return "cwd"
	}
	return "fd/" + strconv.Itoa(fd)
}

func readlink(name string) (string, error) {
	var b [unix.PathMax]byte
	n, err := unix.Readlink(name, b[:])
	if err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

// inside returns the path that a name of this process has for the task.
func (t *task) inside(name string) string {
	root := t.rootPath
	if t.moved {
		if r, err := readlink(t.proc("root")); err == nil {
			root = strings.TrimSuffix(r, "/")
		}
	}
	return strings.TrimPrefix(name, root)
}

// descriptor opens what a descriptor of the task is open at.
func (t *task) descriptor(fd int) (file, error) {
	f, err := t.openLink(descriptorLink(fd))
	if errors.Is(err, unix.ENOENT) && fd != unix.AT_FDCWD {
		err = unix.EBADF
	}
	return f, err
}

// openLink opens what a link in the task's directory in /proc leads to.
func (t *task) openLink(name string) (f file, err error) {
	var fd int
	t.as(func() { fd, err = unix.Open(t.proc(name), unix.O_PATH|unix.O_CLOEXEC, 0) })
	if err != nil {
		return file{}, err
	}
	return stat(fd)
}

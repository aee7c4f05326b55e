//go:build linux

package supervisor

import (
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

// A new file belongs to who makes it. Where that is the one user that the kernel knows there is nothing to
// do; else the supervisor makes the file.

// creation is a call that makes a file.
type creation struct {
	place
	// mode is the one asked for, of directories and special files with its type.
	mode uint32
	// target is what a link is to hold.
	target string
	// flags are those of open, which has the file open afterwards.
	flags  int
	device int
}

func mkdir(t *task) answer {
	p, err := t.place(-1, 0, false)
	return t.create(creation{place: p, mode: unix.S_IFDIR | uint32(t.args[1])&0o7777}, err)
}

func mkdirat(t *task) answer {
	p, err := t.place(0, 1, false)
	return t.create(creation{place: p, mode: unix.S_IFDIR | uint32(t.args[2])&0o7777}, err)
}

func mknod(t *task) answer {
	p, err := t.place(-1, 0, false)
	return t.create(creation{place: p, mode: special(t.args[1]), device: int(t.args[2])}, err)
}

func mknodat(t *task) answer {
	p, err := t.place(0, 1, false)
	return t.create(creation{place: p, mode: special(t.args[2]), device: int(t.args[3])}, err)
}

// special returns the mode of mknod(2), in which no type is that of a regular file.
func special(mode uint64) uint32 {
	if mode&unix.S_IFMT == 0 {
		mode |= unix.S_IFREG
	}
	return uint32(mode)
}

func symlink(t *task) answer {
	p, err := t.place(-1, 1, false)
	return t.link(p, err)
}

func symlinkat(t *task) answer {
	p, err := t.place(1, 2, false)
	return t.link(p, err)
}

func (t *task) link(p place, err error) answer {
	if err != nil {
		return proceed()
	}
	target, err := t.text(t.args[0])
	return t.create(creation{place: p, mode: unix.S_IFLNK | 0o777, target: target}, err)
}

// create makes a file if it must be recorded whose it is, or if it is not for the kernel to say whether that may be. To
// root the kernel says in all other cases, errors among them, what it would.
func (t *task) create(c creation, err error) answer {
	who := t.identity()
	if err != nil {
		return proceed()
	}
	e, err := t.findName(c.place, who)
	if err != nil {
		return t.orProceed(who, err)
	}
	defer e.close()
	switch {
	case !e.named() || e.there:
		return t.orProceed(who, unix.EEXIST)
	case e.slash && c.mode&unix.S_IFMT != unix.S_IFDIR:
		return t.orProceed(who, unix.ENOENT)
	}
	return t.createIn(&e, c, who)
}

// orProceed is what somebody is told who is not root.
func (t *task) orProceed(who identity, err error) answer {
	if who.root() {
		return proceed()
	}
	return failure(err)
}

// createIn makes a file where there is none.
func (t *task) createIn(e *entry, c creation, who identity) answer {
	r := ownership.Record{UID: who.uid.fs, GID: who.gid.fs}
	if e.dir.Mode&unix.S_ISGID != 0 {
		r.GID = t.owned(&e.dir).GID
	}
	switch {
	case who.root() && r == (ownership.Record{}):
		return proceed()
	case !t.may(who, &e.dir, write|execute):
		return failure(e.dir.refusal(unix.EACCES))
	}
	return t.make(&e.dir, e.name, c, r)
}

// make makes the file and records that it belongs to r.
func (t *task) make(parent *file, base string, c creation, r ownership.Record) answer {
	fd, err := t.makeAt(parent, base, c)
	if err != nil {
		return failure(err)
	}
	ref, err := unix.Openat(parent.fd, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil {
		err = t.finish(ref, parent, c, r)
	}
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return failure(err)
	}
	if fd < 0 {
		return result(0)
	}
	return open(fd, c.flags&unix.O_CLOEXEC != 0)
}

// makeAt makes the file; fd is not negative if it is open.
func (t *task) makeAt(parent *file, base string, c creation) (fd int, err error) {
	switch c.mode & unix.S_IFMT {
	case 0:
		return unix.Openat(parent.fd, base, c.flags|unix.O_EXCL|unix.O_CLOEXEC|unix.O_LARGEFILE, 0o600)
	case unix.S_IFDIR:
		return -1, unix.Mkdirat(parent.fd, base, 0o700)
	case unix.S_IFLNK:
		return -1, unix.Symlinkat(c.target, parent.fd, base)
	default:
		return -1, unix.Mknodat(parent.fd, base, c.mode&unix.S_IFMT|0o600, c.device)
	}
}

// finish gives the new file, open at ref, its mode and its record.
func (t *task) finish(ref int, parent *file, c creation, r ownership.Record) error {
	f, err := stat(ref)
	if err != nil {
		return err
	}
	defer f.close()
	if c.mode&unix.S_IFMT != unix.S_IFLNK {
		mode := c.mode & 0o7777 &^ t.umask()
		if c.mode&unix.S_IFMT == unix.S_IFDIR {
			mode |= parent.Mode & unix.S_ISGID
		}
		if err := unix.Chmod(f.path(), mode); err != nil {
			return err
		}
	}
	return t.setRecord(&f, r)
}

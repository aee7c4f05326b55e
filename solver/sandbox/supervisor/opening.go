//go:build linux

package supervisor

import (
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

// opens answers an opening. What is there the kernel opens for root.
func opens(o opening) handler {
	return func(t *task) answer {
		who := t.identity()
		if who.root() && o.how(t)&unix.O_CREAT == 0 {
			return proceed()
		}
		c, err := o.of(t)
		if err != nil {
			return t.orProceed(who, err)
		}
		return t.openFor(who, c)
	}
}

func (t *task) openFor(who identity, c creation) answer {
	e, err := t.find(c.place, who)
	if err != nil {
		return t.orProceed(who, err)
	}
	defer e.close()
	switch {
	case who.root() && (e.there || e.slash):
		return proceed()
	case e.there:
		return t.openThere(who, c, &e)
	case c.flags&unix.O_CREAT == 0:
		return failure(unix.ENOENT)
	case e.slash:
		return failure(unix.EISDIR)
	}
	return t.createIn(&e, c, who)
}

// openThere opens what is there for somebody who is not root. The kernel opens what is open already or is only to be
// referred to, which gives no rights over it.
func (t *task) openThere(who identity, c creation, e *entry) answer {
	f := &e.file
	if f.nobodys() {
		return proceed()
	}
	if err := c.fits(f, e.slash); err != nil {
		return failure(err)
	}
	switch {
	case c.flags&unix.O_PATH != 0:
		return proceed()
	case !t.may(who, f, c.wanted()) && c.flags&unix.O_TRUNC != 0:
		return failure(f.refusal(unix.EACCES))
	case !t.may(who, f, c.wanted()):
		return failure(unix.EACCES)
	case c.flags&unix.O_NOATIME != 0 && !t.owns(who, f):
		return failure(unix.EPERM)
	case f.waits():
		return proceed()
	}
	fd, err := t.openAgain(who, f, c)
	if err != nil {
		return failure(err)
	}
	return open(fd, c.flags&unix.O_CLOEXEC != 0)
}

// wanted are the rights over a file that its opening asks for. A file without a name is made in a directory.
func (c creation) wanted() uint32 {
	wanted := map[int]uint32{unix.O_RDONLY: read, unix.O_WRONLY: write}[c.flags&unix.O_ACCMODE]
	switch {
	case c.nameless():
		return write | execute
	case wanted == 0:
		return read | write
	case c.flags&unix.O_TRUNC != 0:
		wanted |= write
	}
	return wanted
}

// nameless reports whether what is opened is a new file that has no name.
func (c creation) nameless() bool { return c.flags&unix.O_TMPFILE == unix.O_TMPFILE }

// fits says why f cannot be opened so, whoever asks.
func (c creation) fits(f *file, slash bool) error {
	const exclusive = unix.O_CREAT | unix.O_EXCL
	directory := f.is(unix.S_IFDIR)
	switch {
	case c.flags&exclusive == exclusive && !c.nameless():
		return unix.EEXIST
	case (slash || c.flags&unix.O_DIRECTORY != 0) && !directory:
		return unix.ENOTDIR
	case c.flags&unix.O_PATH != 0:
		return nil
	case f.is(unix.S_IFLNK):
		return unix.ELOOP
	case directory && !c.nameless() && (c.flags&unix.O_CREAT != 0 || c.wanted()&write != 0):
		return unix.EISDIR
	}
	return nil
}

// waits reports whether to open f can take long, or makes it the opener's terminal: the task must do it itself.
func (f *file) waits() bool {
	if f.is(unix.S_IFIFO) {
		return true
	}
	const terminals, others, firstOfUnix98, lastOfUnix98 = 4, 5, 136, 143 // linux/major.h
	major := unix.Major(f.Rdev)
	return f.is(unix.S_IFCHR) && (major == terminals || major == others || major >= firstOfUnix98 && major <= lastOfUnix98)
}

// openAgain opens the file that f refers to.
func (t *task) openAgain(who identity, f *file, c creation) (int, error) {
	flags := c.flags&^(unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW) | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_LARGEFILE
	fd, err := unix.Open(f.path(), flags, 0o600)
	if err != nil || !c.nameless() {
		return fd, err
	}
	if err := t.finishNameless(fd, f, who, c); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// finishNameless gives a file without a name that was made in dir its mode and its record.
func (t *task) finishNameless(fd int, dir *file, who identity, c creation) error {
	ref, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	r := ownership.Record{UID: who.uid.fs, GID: who.gid.fs}
	if dir.Mode&unix.S_ISGID != 0 {
		r.GID = t.owned(dir).GID
	}
	c.mode |= unix.S_IFREG
	return t.finish(ref, dir, c, r)
}

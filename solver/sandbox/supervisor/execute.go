//go:build linux

package supervisor

import (
	"golang.org/x/sys/unix"
)

func execve(t *task) answer {
	if t.identity().plain() {
		return proceed()
	}
	p, err := t.place(-1, 0, true)
	return t.execute(p, err)
}

func execveat(t *task) answer {
	if t.identity().plain() {
		return proceed()
	}
	p, err := t.place(0, 1, t.args[4]&unix.AT_SYMLINK_NOFOLLOW == 0)
	return t.execute(p, err)
}

// plain reports whether no program can change i.
func (i identity) plain() bool { return i.uid == all(0) && i.gid == all(0) }

// execute gives the task the identity that a program with the setuid or setgid bit lends to who executes it,
// and lets the kernel execute it.
func (t *task) execute(p place, err error) answer {
	if err != nil {
		return proceed()
	}
	f, err := t.open(p)
	if err != nil {
		return denied(err)
	}
	defer f.close()
	who, r := t.identity(), t.owned(&f)
	if !t.may(who, &f, execute) {
		return failure(unix.EACCES)
	}
	who.uid.saved, who.uid.fs = who.uid.effective, who.uid.effective
	who.gid.saved, who.gid.fs = who.gid.effective, who.gid.effective
	if f.lends() {
		if f.Mode&unix.S_ISUID != 0 {
			who.uid.effective, who.uid.saved, who.uid.fs = r.UID, r.UID, r.UID
		}
		if f.Mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP {
			who.gid.effective, who.gid.saved, who.gid.fs = r.GID, r.GID, r.GID
		}
	}
	who.keep, who.capable = false, who.uid.effective == 0
	if who != t.identity() {
		if err := t.become(who); err != nil {
			return failure(unix.EAGAIN)
		}
	}
	return proceed()
}

// lends reports whether f is a program, which a script is not, with the setuid or setgid bit.
func (f *file) lends() bool {
	if f.Mode&unix.S_IFMT != unix.S_IFREG || f.Mode&0o111 == 0 || f.Mode&(unix.S_ISUID|unix.S_ISGID) == 0 {
		return false
	}
	fd, err := unix.Open(f.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	var magic [2]byte
	n, err := unix.Read(fd, magic[:])
	return err == nil && n == 2 && string(magic[:]) != "#!"
}

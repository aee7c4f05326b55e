//go:build linux

package supervisor

import (
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

// Where the kernel knows one user only, all files are that user's, and open to every command. Who may do what with
// them is decided here, by the owners that are recorded, as inode(7) and path_resolution(7) say.
//
// What a task is allowed is done by the supervisor, with the very file that it has looked at, so that nobody can put
// another in its place meanwhile. Some things only the task itself can do, or it is of little use to do them at
// another place: changing its directory, executing a program, setting times, opening pipes, terminals and what is in
// /proc. There the kernel goes on, and a command that changes a path while it is looked at can have it its way: it has
// then what every command had without these checks, which keep users of one step apart and not a step from the
// machine.

// What a mode lets somebody do with a file. To look up names in a directory is to execute it.
const (
	execute = 1 << iota
	write
	read
)

// permits reports whether i may do what wanted says with a file of an owner and a mode.
func (i identity) permits(r ownership.Record, mode, wanted uint32) bool {
	switch {
	case i.root():
		return wanted&execute == 0 || mode&unix.S_IFMT == unix.S_IFDIR || mode&0o111 != 0
	case i.uid.fs == r.UID:
		mode >>= 6
	case i.in(r.GID):
		mode >>= 3
	}
	return mode&wanted == wanted
}

// may reports whether who may do what wanted says with f.
func (s *Supervisor) may(who identity, f *file, wanted uint32) bool {
	if all := wanted<<6 | wanted<<3 | wanted; who.root() || f.Mode&all == all { // whose it is decides nothing
		return who.permits(ownership.Record{}, f.Mode, wanted)
	}
	return who.permits(s.owned(f), f.Mode, wanted) || f.nobodys()
}

// owns reports whether f is who's, as far as that gives rights.
func (s *Supervisor) owns(who identity, f *file) bool {
	return who.root() || s.owned(f).UID == who.uid.fs || f.nobodys()
}

// nobodys reports whether f has no owner that is recorded: it is a socket, is in /proc, or is a pipe that has no name, as
// the streams of a command are.
func (f *file) nobodys() bool {
	return f.is(unix.S_IFSOCK) || f.is(unix.S_IFIFO) && f.on(unix.PIPEFS_MAGIC) || f.on(unix.PROC_SUPER_MAGIC)
}

// refusal is the error of a call that would change f and cannot: the kernel looks first whether f can be changed at all.
func (f *file) refusal(otherwise error) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(f.fd, &st); err == nil && st.Flags&unix.ST_RDONLY != 0 {
		return unix.EROFS
	}
	return otherwise
}

// mayRemove says why somebody cannot take the name of an entry away, if that is so.
func (t *task) mayRemove(who identity, e *entry) error {
	switch {
	case !e.there:
		return unix.ENOENT
	case !t.may(who, &e.dir, write|execute):
		return unix.EACCES
	case e.dir.Mode&unix.S_ISVTX != 0 && !t.owns(who, &e.file) && !t.owns(who, &e.dir):
		return unix.EPERM
	case e.file.mounted():
		return unix.EBUSY
	}
	return nil
}

// mounted reports whether f is the root of a mount. The kernel would look for one in this process's mount namespace.
func (f *file) mounted() bool { return f.statx().Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 }

// beside reports whether f and g are in the same mount.
func (f *file) beside(g *file) bool { return f.statx().Mnt_id == g.statx().Mnt_id }

func (f *file) statx() (x unix.Statx_t) {
	_ = unix.Statx(f.fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &x)
	return x
}

// unlessRoot answers calls of tasks that are not root. To root the kernel gives what it asks for.
func unlessRoot(do func(t *task, who identity) answer) handler {
	return func(t *task) answer {
		who := t.identity()
		if who.root() {
			return proceed()
		}
		return do(t, who)
	}
}

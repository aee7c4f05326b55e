//go:build linux

package supervisor

import (
	"errors"
	"maps"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

// chown answers chown(2) and lchown(2).
func chown(follow bool) handler {
	of := at(-1, 0, follow)
	return func(t *task) answer {
		p, err := of(t)
		if err != nil {
			return failure(err)
		}
		return t.chown(p, t.id(1), t.id(2))
	}
}

func fchownat(t *task) answer {
	flags := t.args[4]
	p, err := t.place(0, 1, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	switch {
	case err != nil:
		return failure(err)
	case flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0:
		return failure(unix.EINVAL)
	case p.path == "" && flags&unix.AT_EMPTY_PATH == 0:
		return failure(unix.ENOENT)
	}
	return t.chown(p, t.id(2), t.id(3))
}

func fchown(t *task) answer {
	if t.fd(0) < 0 {
		return failure(unix.EBADF)
	}
	return t.chown(place{dir: t.fd(0)}, t.id(1), t.id(2))
}

// chown gives the file at p to somebody: it stays this user's for the kernel, which forgets its setuid bit and
// capabilities as for any change of the owner, and the new owner is recorded.
func (t *task) chown(p place, uid, gid uint32) answer {
	f, err := t.open(p)
	if err != nil {
		return failure(err)
	}
	defer f.close()
	r := t.owned(&f)
	if !t.identity().mayGive(r, uid, gid) {
		return failure(f.refusal(unix.EPERM))
	}
	if err := unix.Fchownat(f.fd, "", int(f.Uid), int(f.Gid), unix.AT_EMPTY_PATH); err != nil {
		return failure(err)
	}
	if uid != unchanged {
		r.UID = uid
	}
	if gid != unchanged {
		r.GID = gid
	}
	if err := t.setRecord(&f, r); err != nil {
		return failure(err)
	}
	return result(0)
}

// mayGive reports whether i may give a file with the owner r to others: root may, and an owner may give it to
// a group of its own.
func (i identity) mayGive(r ownership.Record, uid, gid uint32) bool {
	if i.root() {
		return true
	}
	return i.uid.fs == r.UID && (uid == unchanged || uid == r.UID) && (gid == unchanged || gid == r.GID || i.in(gid))
}

// statPath answers stat(2) and lstat(2).
func statPath(follow bool) handler {
	of := at(-1, 0, follow)
	return func(t *task) answer {
		p, err := of(t)
		return t.stat(p, err, t.args[1])
	}
}

func fstat(t *task) answer {
	if t.fd(0) < 0 {
		return proceed()
	}
	return t.stat(place{dir: t.fd(0)}, nil, t.args[1])
}

func newfstatat(t *task) answer {
	p, err := t.place(0, 1, t.args[3]&unix.AT_SYMLINK_NOFOLLOW == 0)
	if err == nil && p.path == "" && t.args[3]&unix.AT_EMPTY_PATH == 0 {
		return proceed()
	}
	return t.stat(p, err, t.args[2])
}

// stat shows the recorded owner. Of a file without one the kernel tells all.
func (t *task) stat(p place, err error, to uint64) answer {
	if err != nil {
		return proceed()
	}
	f, err := t.open(p)
	if err != nil {
		return denied(err)
	}
	defer f.close()
	r, ok := t.record(&f)
	if !ok {
		return proceed()
	}
	f.Uid, f.Gid = r.UID, r.GID
	if err := t.write(to, unsafe.Slice((*byte)(unsafe.Pointer(&f.Stat_t)), unsafe.Sizeof(f.Stat_t))); err != nil {
		return failure(unix.EFAULT)
	}
	return result(0)
}

// denied is the answer to a call for which a file cannot be found: the kernel says why, unless it would find it.
func denied(err error) answer {
	if errors.Is(err, unix.EACCES) {
		return failure(err)
	}
	return proceed()
}

func statx(t *task) answer {
	flags := int(t.args[2])
	p, err := t.place(0, 1, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	if err != nil || p.path == "" && flags&unix.AT_EMPTY_PATH == 0 {
		return proceed()
	}
	f, err := t.open(p)
	if err != nil {
		return denied(err)
	}
	defer f.close()
	r, ok := t.record(&f)
	if !ok {
		return proceed()
	}
	var x unix.Statx_t
	if err := unix.Statx(f.fd, "", flags|unix.AT_EMPTY_PATH, int(t.args[3]), &x); err != nil {
		return failure(err)
	}
	x.Uid, x.Gid = r.UID, r.GID
	if err := t.write(t.args[4], unsafe.Slice((*byte)(unsafe.Pointer(&x)), unsafe.Sizeof(x))); err != nil {
		return failure(unix.EFAULT)
	}
	return result(0)
}

// Owners returns a supervisor for commands that run as one user only: it keeps owners and identities as the
// commands ask for them.
func Owners(in Surroundings, command User) *Supervisor {
	s := &Supervisor{identities: []identity{command.identity()}, others: map[fileID]ownership.Record{}, calls: ownerCalls()}
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err == nil {
		s.slack = uint64(slack)
	}
	s.surround(in)
	return s
}

func ownerCalls() map[string]handled {
	calls := map[string]handled{
		"chown": {answer: chown(true)}, "lchown": {answer: chown(false)}, "fchown": {answer: fchown},
		"fchownat": {answer: fchownat},
		"stat":     {answer: statPath(true)}, "lstat": {answer: statPath(false)}, "fstat": {answer: fstat},
		"newfstatat": {answer: newfstatat}, "statx": {answer: statx},
		"setuid": {answer: setUser(set1)}, "setreuid": {answer: setUser(set2)}, "setresuid": {answer: setUser(set3)},
		"setgid": {answer: setGroup(set1)}, "setregid": {answer: setGroup(set2)}, "setresgid": {answer: setGroup(set3)},
		"setfsuid": {answer: setFS(users)}, "setfsgid": {answer: setFS(groups)},
		"getuid": {answer: getOne(users, realOf)}, "geteuid": {answer: getOne(users, effectiveOf)},
		"getgid": {answer: getOne(groups, realOf)}, "getegid": {answer: getOne(groups, effectiveOf)},
		"getresuid": {answer: getAll(users)}, "getresgid": {answer: getAll(groups)},
		"setgroups": {answer: setGroups}, "getgroups": {answer: getGroups},
		"execve": {answer: execve}, "execveat": {answer: execveat},
		"prctl": {where: noted(), answer: prctl},
		"mkdir": {answer: mkdir}, "mkdirat": {answer: mkdirat},
		"mknod": {answer: mknod}, "mknodat": {answer: mknodat}, "symlink": {answer: symlink}, "symlinkat": {answer: symlinkat},
		"rt_sigaction": {where: ofChildren(), answer: restarting},
		"getsockopt":   {where: asksForPeer(), answer: peer},
		// Programs fall back on openat, whose arguments can be seen.
		"openat2": {answer: refuse(unix.ENOSYS)},
	}
	for name, o := range openings() {
		calls[name] = handled{answer: opens(o)}
	}
	for _, more := range []map[string]handled{xattrCalls(), nameCalls(), changeCalls()} {
		maps.Copy(calls, more)
	}
	for _, name := range []string{
		"chown", "lchown", "fchown", "setuid", "setreuid", "setresuid", "setgid", "setregid", "setresgid",
		"setfsuid", "setfsgid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "setgroups", "getgroups",
	} {
		calls[name+"32"] = calls[name]
	}
	return calls
}

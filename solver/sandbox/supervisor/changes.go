//go:build linux

package supervisor

import "golang.org/x/sys/unix"

// setMode answers chmod calls, whose mode is argument i. Who is not of the group of a file cannot give it the setgid bit.
func setMode(of target, i int) handler {
	return changing(of, func(t *task, who identity, f *file) answer {
		mode := uint32(t.args[i]) & 0o7777
		switch {
		case !t.owns(who, f):
			return failure(f.refusal(unix.EPERM))
		case !who.in(t.owned(f).GID):
			mode &^= unix.S_ISGID
		}
		return done(unix.Chmod(f.path(), mode))
	})
}

// setTimes answers the calls that set times, with what is at argument i: who may write to a file can set them to now.
func setTimes(of target, i int) handler {
	return changing(of, func(t *task, who identity, f *file) answer {
		switch {
		case t.owns(who, f):
			return proceed()
		case t.args[i] != 0:
			return failure(f.refusal(unix.EPERM))
		case !t.may(who, f, write):
			return failure(f.refusal(unix.EACCES))
		}
		return proceed()
	})
}

// truncate answers calls that shorten a file.
func truncate(of target) handler {
	return changing(of, func(t *task, who identity, f *file) answer {
		switch {
		case !f.is(unix.S_IFREG): // the kernel says what it is instead
		case !t.may(who, f, write):
			return failure(unix.EACCES)
		case t.narrow: // the length is in two parts, in an order of the architecture's
		default:
			return done(unix.Truncate(f.path(), int64(t.args[1])))
		}
		return proceed()
	})
}

// access answers the calls that ask for rights, which argument i names. They ask for those of the real user, unless
// flags say otherwise.
func access(of target, i int, effective bool) handler {
	return func(t *task) answer {
		who := t.identity()
		if !effective || t.args[i+1]&unix.AT_EACCESS == 0 {
			who = who.inReality()
		}
		if who.root() {
			return proceed()
		}
		f, err := t.openTarget(of, who)
		if err != nil {
			return failure(err)
		}
		defer f.close()
		switch {
		case f.nobodys():
			return proceed()
		case !t.may(who, &f, uint32(t.args[i])&(read|write|execute)):
			return failure(unix.EACCES)
		case f.is(unix.S_IFLNK):
			return result(0)
		}
		return done(unix.Faccessat(unix.AT_FDCWD, f.path(), uint32(t.args[i])&(read|write), 0))
	}
}

// inReality is who i is by its real ids.
func (i identity) inReality() identity {
	i.uid.effective, i.uid.fs, i.gid.fs = i.uid.real, i.uid.real, i.gid.real
	return i
}

// enter answers the calls that change the working directory.
func enter(of target) handler {
	return changing(of, func(t *task, who identity, f *file) answer {
		switch {
		case !f.is(unix.S_IFDIR):
			return failure(unix.ENOTDIR)
		case !t.may(who, f, execute):
			return failure(unix.EACCES)
		}
		return proceed()
	})
}

// chroot notes that paths of some task may begin elsewhere from now on.
func chroot(t *task) answer {
	if !t.identity().root() {
		return failure(unix.EPERM)
	}
	t.moved = true
	return proceed()
}

// looks answers calls that only look at what is at a place: the directories of its path must be open.
func looks(of target) handler {
	return unlessRoot(func(t *task, who identity) answer {
		p, err := of(t)
		if err != nil {
			return proceed()
		}
		f, err := t.openAs(p, who)
		if err != nil {
			return denied(err)
		}
		f.close()
		return proceed()
	})
}

// changing answers calls about what is at a place.
func changing(of target, do func(t *task, who identity, f *file) answer) handler {
	return unlessRoot(func(t *task, who identity) answer {
		f, err := t.openTarget(of, who)
		if err != nil {
			return failure(err)
		}
		defer f.close()
		if f.nobodys() {
			return proceed()
		}
		return do(t, who, &f)
	})
}

// changeCalls are the calls that this file answers.
func changeCalls() map[string]handled {
	calls := map[string]handled{
		"chdir": {answer: enter(at(-1, 0, true))}, "fchdir": {answer: enter(opened)}, "chroot": {answer: chroot},
		"readlink": {answer: looks(at(-1, 0, false))}, "readlinkat": {answer: looks(at(0, 1, false))},
		// These are of 32 bits.
		"stat64": {answer: looks(at(-1, 0, true))}, "lstat64": {answer: looks(at(-1, 0, false))}, "fstatat64": {answer: looks(atWith(3))},
	}
	for name, of := range remoded() {
		calls[name] = handled{answer: setMode(of, after(name))}
	}
	for name, of := range retimed() {
		calls[name] = handled{answer: setTimes(of, after(name))}
	}
	for name, of := range cut() {
		calls[name] = handled{answer: truncate(of)}
	}
	for name, of := range probed() {
		calls[name] = handled{answer: access(of, after(name), name == "faccessat2")}
	}
	return calls
}

// after is the argument that follows the path of one of these calls, or what it has in place of a path.
func after(call string) int {
	switch call {
	case "fchmodat", "fchmodat2", "futimesat", "utimensat", "utimensat_time64", "faccessat", "faccessat2":
		return 2
	}
	return 1
}

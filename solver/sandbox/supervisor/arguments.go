//go:build linux

package supervisor

import (
	"golang.org/x/sys/unix"
)

// target reads the place that a call is about from its arguments.
type target func(t *task) (place, error)

// at is a target whose directory and path are these arguments; dir -1 is the working directory.
func at(dir, name int, follow bool) target {
	return func(t *task) (place, error) { return named(t.place(dir, name, follow)) }
}

// atWith is a target, with the directory first and the path next, of which argument flags says whether links are followed,
// and whether the path may be empty.
func atWith(flags int) target {
	return func(t *task) (place, error) {
		p, err := t.place(0, 1, t.args[flags]&unix.AT_SYMLINK_NOFOLLOW == 0)
		if t.args[flags]&unix.AT_EMPTY_PATH != 0 {
			return p, err
		}
		return named(p, err)
	}
}

// named refuses an empty path.
func named(p place, err error) (place, error) {
	if err == nil && p.path == "" {
		err = unix.ENOENT
	}
	return p, err
}

// opened is a target that is open as the first argument.
func opened(t *task) (place, error) {
	if t.fd(0) < 0 {
		return place{}, unix.EBADF
	}
	return place{dir: t.fd(0)}, nil
}

// orOpened is a target, or what is open as the first argument if there is no path.
func orOpened(of target) target {
	return func(t *task) (place, error) {
		if t.args[1] == 0 {
			return opened(t)
		}
		return of(t)
	}
}

// opening says which arguments of a call that opens a file are what; dir -1 is the working directory, flags -1 are those
// of creat(2).
type opening struct{ dir, name, flags, mode int }

// openings are the calls that open a file and may make it.
func openings() map[string]opening {
	return map[string]opening{"open": {-1, 0, 1, 2}, "openat": {0, 1, 2, 3}, "creat": {-1, 0, -1, 1}}
}

// how are the flags of the opening.
func (o opening) how(t *task) int {
	if o.flags < 0 {
		return unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC
	}
	return int(int32(t.args[o.flags]))
}

// of reads the opening. One that must make the file does not follow a link.
func (o opening) of(t *task) (creation, error) {
	const exclusive = unix.O_CREAT | unix.O_EXCL
	flags := o.how(t)
	p, err := named(t.place(o.dir, o.name, flags&unix.O_NOFOLLOW == 0 && flags&exclusive != exclusive))
	return creation{place: p, flags: flags, mode: uint32(t.args[o.mode]) & 0o7777}, err
}

// retimed are the calls that set times.
func retimed() map[string]target {
	return map[string]target{
		"utime": at(-1, 0, true), "utimes": at(-1, 0, true), "futimesat": orOpened(at(0, 1, true)),
		"utimensat": orOpened(atWith(3)), "utimensat_time64": orOpened(atWith(3)),
	}
}

// remoded are the calls that set a mode.
func remoded() map[string]target {
	return map[string]target{
		"chmod": at(-1, 0, true), "fchmod": opened, "fchmodat": at(0, 1, true), "fchmodat2": atWith(3),
	}
}

// regiven are the calls that give a file to somebody.
func regiven() map[string]target {
	return map[string]target{
		"chown": at(-1, 0, true), "lchown": at(-1, 0, false), "fchown": opened, "fchownat": atWith(4),
		"chown32": at(-1, 0, true), "lchown32": at(-1, 0, false), "fchown32": opened,
	}
}

// relabelled are the calls that change extended attributes.
func relabelled() map[string]target {
	return map[string]target{
		"setxattr": at(-1, 0, true), "lsetxattr": at(-1, 0, false), "fsetxattr": opened,
		"removexattr": at(-1, 0, true), "lremovexattr": at(-1, 0, false), "fremovexattr": opened,
	}
}

// cut are the calls that change how long a file is by its path.
func cut() map[string]target {
	return map[string]target{"truncate": at(-1, 0, true), "truncate64": at(-1, 0, true)}
}

// probed are the calls that ask what may be done with a file. The argument after the path says what.
func probed() map[string]target {
	return map[string]target{"access": at(-1, 0, true), "faccessat": at(0, 1, true), "faccessat2": atWith(3)}
}

// removal is a call that takes a name away: that of a directory, or of anything else.
type removal struct {
	of        target
	directory func(t *task) bool
}

// removals are the calls that take a name away.
func removals() map[string]removal {
	never, always := func(*task) bool { return false }, func(*task) bool { return true }
	return map[string]removal{
		"unlink": {at(-1, 0, false), never}, "rmdir": {at(-1, 0, false), always},
		"unlinkat": {at(0, 1, false), func(t *task) bool { return t.args[2]&unix.AT_REMOVEDIR != 0 }},
	}
}

// made are the calls that make a file other than by opening it.
func made() map[string]target {
	return map[string]target{
		"mkdir": at(-1, 0, false), "mkdirat": at(0, 1, false), "mknod": at(-1, 0, false), "mknodat": at(0, 1, false),
		"symlink": at(-1, 1, false), "symlinkat": at(1, 2, false),
	}
}

// pair are two targets: what there is and what is to be.
type pair struct{ from, to target }

// renamed are the calls that move a name.
func renamed() map[string]pair {
	return map[string]pair{
		"rename":    {at(-1, 0, false), at(-1, 1, false)},
		"renameat":  {at(0, 1, false), at(2, 3, false)},
		"renameat2": {at(0, 1, false), at(2, 3, false)},
	}
}

// linked are the calls that give a file another name.
func linked() map[string]pair {
	return map[string]pair{"link": {at(-1, 0, false), at(-1, 1, false)}, "linkat": {linkSource, at(2, 3, false)}}
}

// linkSource is the file that linkat(2) gives another name.
func linkSource(t *task) (place, error) {
	p, err := t.place(0, 1, t.args[4]&unix.AT_SYMLINK_FOLLOW != 0)
	if t.args[4]&unix.AT_EMPTY_PATH != 0 {
		return p, err
	}
	return named(p, err)
}

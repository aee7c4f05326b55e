//go:build linux

package supervisor

import (
	"bytes"
	"strings"

	"golang.org/x/sys/unix"
)

// Records of owners are extended attributes, which commands could else write themselves. So the supervisor does the
// calls that change attributes, under the name that it has read, and refuses those in reserved names. Lists leave
// these out, so that what copies attributes does not meet them.

// reserved begins the names of attributes that this program keeps.
const reserved = "user.builder."

// The limits of linux/limits.h.
const (
	xattrSizeMax = 64 << 10
	xattrListMax = 64 << 10
)

// byPath answers calls whose first argument is a path, byFD those whose first is a descriptor.
func byPath(follow bool, do func(*task, *file) answer) handler {
	return func(t *task) answer {
		p, err := t.place(-1, 0, follow)
		if err == nil && p.path == "" {
			err = unix.ENOENT
		}
		if err != nil {
			return failure(err)
		}
		return t.with(p, do)
	}
}

func byFD(do func(*task, *file) answer) handler {
	return func(t *task) answer { return t.with(place{dir: t.fd(0)}, do) }
}

// with does something with the file at p.
func (t *task) with(p place, do func(*task, *file) answer) answer {
	f, err := t.open(p)
	if err != nil {
		return failure(err)
	}
	defer f.close()
	return do(t, &f)
}

// setXattr does setxattr(2) and its kin.
func setXattr(t *task, f *file) answer {
	name, err := t.text(t.args[1])
	size := t.args[3]
	switch {
	case err != nil:
		return failure(err)
	case strings.HasPrefix(name, reserved), !t.mayLabel(name):
		return failure(unix.EPERM)
	case size > xattrSizeMax:
		return failure(unix.E2BIG)
	}
	value := make([]byte, size)
	if size > 0 {
		err = t.read(t.args[2], value)
	}
	if err == nil {
		err = unix.Setxattr(f.path(), name, value, int(int32(t.args[4])))
	}
	return done(err)
}

// mayLabel reports whether the task may change attributes of this name as far as that is a matter of who it is: what
// gives a program capabilities is root's.
func (t *task) mayLabel(name string) bool {
	return !strings.HasPrefix(name, "security.") || t.identity().root()
}

// removeXattr does removexattr(2) and its kin.
func removeXattr(t *task, f *file) answer {
	name, err := t.text(t.args[1])
	switch {
	case err != nil:
		return failure(err)
	case strings.HasPrefix(name, reserved):
		return failure(unix.ENODATA)
	case !t.mayLabel(name):
		return failure(unix.EPERM)
	}
	return done(unix.Removexattr(f.path(), name))
}

// listXattrs does listxattr(2) and its kin.
func listXattrs(t *task, f *file) answer {
	b := make([]byte, xattrListMax)
	n, err := unix.Listxattr(f.path(), b)
	if err != nil {
		return failure(err)
	}
	var shown []byte
	for name := range bytes.SplitAfterSeq(b[:n], []byte{0}) {
		if !bytes.HasPrefix(name, []byte(reserved)) {
			shown = append(shown, name...)
		}
	}
	switch room := t.args[2]; {
	case room == 0: // asks how much is needed
	case room < uint64(len(shown)):
		return failure(unix.ERANGE)
	default:
		if err := t.write(t.args[1], shown); err != nil {
			return failure(unix.EFAULT)
		}
	}
	return result(int64(len(shown)))
}

// done is the answer to a call that returns nothing but an error.
func done(err error) answer {
	if err != nil {
		return failure(err)
	}
	return result(0)
}

// xattrCalls are the calls that this file answers.
func xattrCalls() map[string]handled {
	calls := map[string]handled{}
	for suffix, do := range map[string]func(*task, *file) answer{
		"setxattr": setXattr, "removexattr": removeXattr, "listxattr": listXattrs,
	} {
		calls[suffix] = handled{answer: byPath(true, do)}
		calls["l"+suffix] = handled{answer: byPath(false, do)}
		calls["f"+suffix] = handled{answer: byFD(do)}
		calls[suffix+"at"] = handled{answer: refuse(unix.ENOSYS)} // of Linux 6.13
	}
	return calls
}

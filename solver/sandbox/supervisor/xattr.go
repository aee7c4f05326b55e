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

// attributeCall is a call in its three forms.
type attributeCall struct {
	do func(*task, *file) answer
	// reads: it changes nothing, so the kernel can be left to do it.
	reads bool
}

// byPath answers a call whose first argument is a path. What is in /proc only the command itself sees.
func (c attributeCall) byPath(follow bool) handler {
	return func(t *task) answer {
		p, err := t.place(-1, 0, follow)
		if err == nil && p.path == "" {
			err = unix.ENOENT
		}
		if err != nil {
			return failure(err)
		}
		f, err := t.open(p)
		if _, inProc := procPath(p.path); err != nil && inProc && c.reads {
			return denied(err)
		}
		if err != nil {
			return failure(err)
		}
		defer f.close()
		return c.do(t, &f)
	}
}

// byFD answers a call whose first argument is a descriptor.
func (c attributeCall) byFD(t *task) answer {
	if t.fd(0) < 0 {
		return failure(unix.EBADF)
	}
	f, err := t.descriptor(t.fd(0))
	if err != nil {
		return failure(err)
	}
	defer f.close()
	return c.do(t, &f)
}

// setXattr does setxattr(2) and its kin.
func setXattr(t *task, f *file) answer {
	name, err := t.text(t.args[1])
	size := t.args[3]
	switch {
	case err != nil:
		return failure(err)
	case strings.HasPrefix(name, reserved):
		return failure(unix.EPERM)
	case t.mayLabel(f, name) != nil:
		return failure(f.refusal(t.mayLabel(f, name)))
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

// mayLabel says why the task cannot change attributes of this name as far as that is a matter of who it is, if it
// cannot: what gives a program capabilities is root's, what is a user's is that of who may write, see xattr(7).
func (t *task) mayLabel(f *file, name string) error {
	who := t.identity()
	switch user := strings.HasPrefix(name, "user."); {
	case who.root():
		return nil
	case user && f.holds() && f.Mode&unix.S_ISVTX == 0 && t.may(who, f, write):
		return nil
	case user && f.holds() && !t.may(who, f, write):
		return unix.EACCES
	case user && !f.holds(), strings.HasPrefix(name, "security."), !t.owns(who, f):
		return unix.EPERM
	}
	return nil
}

// removeXattr does removexattr(2) and its kin.
func removeXattr(t *task, f *file) answer {
	name, err := t.text(t.args[1])
	switch {
	case err != nil:
		return failure(err)
	case strings.HasPrefix(name, reserved):
		return failure(unix.ENODATA)
	case t.mayLabel(f, name) != nil:
		return failure(f.refusal(t.mayLabel(f, name)))
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
	for suffix, c := range map[string]attributeCall{
		"setxattr": {do: setXattr}, "removexattr": {do: removeXattr}, "listxattr": {do: listXattrs, reads: true},
	} {
		calls[suffix] = handled{answer: c.byPath(true)}
		calls["l"+suffix] = handled{answer: c.byPath(false)}
		calls["f"+suffix] = handled{answer: c.byFD}
		calls[suffix+"at"] = handled{answer: refuse(unix.ENOSYS)} // of Linux 6.13
	}
	return calls
}

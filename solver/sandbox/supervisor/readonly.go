//go:build linux

package supervisor

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Where nothing can be mounted, what a command is to read is put into its root directory as it is, and all calls that
// change files pass through here, if there is such a place. Those that would change something there are refused, as the
// kernel refuses them on a mount that is read-only. The kernel goes on with the others, although a command that changes
// a path at the same time can have it lead elsewhere by then: what it can write to so is a copy that nobody else sees
// and that is thrown away, or a cache that it could have without "readonly" in the same Dockerfile.

// Mount is what was put into the root directory of a step in place of a mount.
type Mount struct {
	// Target is the path that the instruction gives it.
	Target string
	// At is the directory or file, open for reference. It is the caller's to close.
	At       *os.File
	ReadOnly bool
}

// path is where the mount is now: the command can move the directories around it.
func (m *Mount) path() (string, error) { return readlink(fmt.Sprintf("/proc/self/fd/%d", m.At.Fd())) }

// mountOf returns the mount that f lies in, nil if it is none, and whether f is the mount's root.
func (t *task) mountOf(f *file) (m *Mount, root bool) {
	name, err := readlink(f.path())
	if err != nil {
		return nil, false
	}
	longest := -1
	for i := range t.files.Mounts {
		at, err := t.files.Mounts[i].path()
		if err == nil && len(at) > longest && (name == at || strings.HasPrefix(name, at+"/")) {
			m, root, longest = &t.files.Mounts[i], name == at, len(at)
		}
	}
	return m, root
}

// readOnly reports whether f lies in a mount that is.
func (t *task) readOnly(f *file) bool {
	m, _ := t.mountOf(f)
	return m != nil && m.ReadOnly
}

// mountPoint reports whether f is the root of a mount that is read-only.
func (t *task) mountPoint(f *file) bool {
	m, root := t.mountOf(f)
	return root && m.ReadOnly
}

// judge says with which error a call fails, 0 if there is nothing against it here. What is not found the kernel does
// not find either.
type judge func(t *task) unix.Errno

// protect has the calls judged that could change what is to be read.
func (s *Supervisor) protect() {
	for _, calls := range []map[string]target{retimed(), remoded(), regiven(), relabelled()} {
		for name, of := range calls {
			s.judged(name, alters(of))
		}
	}
	for name, of := range cut() {
		s.judged(name, overwrites(of))
	}
	for name, of := range probed() {
		s.judged(name, asks(of, after(name)))
	}
	for name, r := range removals() {
		s.judged(name, takes(r))
	}
	for name, of := range renamed() {
		s.judged(name, moves(of))
	}
	for name, of := range linked() {
		s.judged(name, links(of))
	}
	for name, of := range made() {
		s.judged(name, makes(of))
	}
	for name, o := range openings() {
		s.judged(name, writes(o))
	}
	for _, name := range []string{"setxattrat", "removexattrat"} { // of Linux 6.13
		s.calls[name] = handled{answer: refuse(unix.ENOSYS)}
	}
}

// judged passes a call on to what answers it else, if j has nothing against it.
func (s *Supervisor) judged(name string, j judge) {
	before, ok := s.calls[name]
	s.calls[name] = handled{answer: func(t *task) answer {
		if errno := j(t); errno != 0 {
			return failure(errno)
		}
		if ok && before.passed(t.args) {
			return before.answer(t)
		}
		return proceed()
	}}
}

// passed reports whether a call with these arguments would be passed on.
func (h *handled) passed(args [6]uint64) bool {
	for _, b := range h.where {
		if args[b.Index]&b.Mask == b.Value {
			return true
		}
	}
	return len(h.where) == 0
}

// alters judges calls that change what is at a place.
func alters(of target) judge {
	return func(t *task) unix.Errno {
		return t.judgeFile(of, func(f *file) bool { return t.readOnly(f) })
	}
}

// overwrites judges calls that change the content of a file. What is no regular file has none there.
func overwrites(of target) judge {
	return func(t *task) unix.Errno {
		return t.judgeFile(of, func(f *file) bool { return f.is(unix.S_IFREG) && t.readOnly(f) })
	}
}

// asks judges calls that ask whether a file could be written to, which comes after what its mode says.
func asks(of target, mode int) judge {
	return func(t *task) unix.Errno {
		wanted := uint32(t.args[mode]) & (read | write | execute)
		if wanted&write == 0 {
			return 0
		}
		return t.judgeFile(of, func(f *file) bool {
			return (f.is(unix.S_IFREG) || f.is(unix.S_IFDIR)) && t.may(identity{}, f, wanted) && t.readOnly(f)
		})
	}
}

// judgeFile refuses a call if the file at its place is protected.
func (t *task) judgeFile(of target, protected func(f *file) bool) unix.Errno {
	f, err := t.openTarget(of, identity{})
	if err != nil {
		return 0
	}
	defer f.close()
	if protected(&f) {
		return unix.EROFS
	}
	return 0
}

// writes judges openings.
func writes(o opening) judge {
	return func(t *task) unix.Errno {
		c := creation{flags: o.how(t)}
		if c.flags&unix.O_PATH != 0 || c.flags&unix.O_CREAT == 0 && c.wanted()&write == 0 {
			return 0
		}
		c, err := o.of(t)
		if err != nil {
			return 0
		}
		e, err := t.find(c.place, identity{})
		if err != nil {
			return 0
		}
		defer e.close()
		if t.writable(c, &e) {
			return 0
		}
		return unix.EROFS
	}
}

// writable reports whether an opening for writing, or one that may make a file, changes nothing that is to be read.
func (t *task) writable(c creation, e *entry) bool {
	const exclusive = unix.O_CREAT | unix.O_EXCL
	switch {
	case !e.there:
		return c.flags&unix.O_CREAT == 0 || e.slash || !t.readOnly(&e.dir)
	case c.nameless():
		return !e.file.is(unix.S_IFDIR) || !t.readOnly(&e.file)
	case e.slash || c.flags&exclusive == exclusive:
		return true // the kernel refuses it
	}
	return c.wanted()&write == 0 || !e.file.is(unix.S_IFREG) || !t.readOnly(&e.file)
}

// makes judges calls that make a file.
func makes(of target) judge {
	return func(t *task) unix.Errno {
		return t.judgeName(of, func(e *entry) unix.Errno {
			if !e.there && t.readOnly(&e.dir) {
				return unix.EROFS
			}
			return 0
		})
	}
}

// takes judges calls that take a name away. The kernel looks whether there is anything only afterwards.
func takes(r removal) judge {
	return func(t *task) unix.Errno {
		return t.judgeName(r.of, func(e *entry) unix.Errno {
			switch {
			case !e.named():
				return 0
			case t.readOnly(&e.dir):
				return unix.EROFS
			case e.there && e.file.is(unix.S_IFDIR) == r.directory(t) && t.mountPoint(&e.file):
				return unix.EBUSY
			}
			return 0
		})
	}
}

// judgeName judges a call by the name that it is about.
func (t *task) judgeName(of target, j func(e *entry) unix.Errno) unix.Errno {
	p, err := of(t)
	if err != nil {
		return 0
	}
	e, err := t.findName(p, identity{})
	if err != nil {
		return 0
	}
	defer e.close()
	return j(&e)
}

// moves judges calls that move a name, for which mounts are file systems of their own.
func moves(of pair) judge {
	return func(t *task) unix.Errno {
		return t.judgeName(of.from, func(from *entry) unix.Errno {
			return t.judgeName(of.to, func(to *entry) unix.Errno {
				switch {
				case t.apart(from.around(), to.around()):
					return unix.EXDEV
				case !from.named() || !to.named():
					return 0
				case t.readOnly(&to.dir):
					return unix.EROFS
				case from.there && (t.mountPoint(&from.file) || to.there && t.mountPoint(&to.file)):
					return unix.EBUSY
				}
				return 0
			})
		})
	}
}

// links judges calls that give a file another name, which must be in the same mount.
func links(of pair) judge {
	return func(t *task) unix.Errno {
		p, err := of.from(t)
		if err != nil {
			return 0
		}
		f, err := t.openAs(p, identity{})
		if err != nil {
			return 0
		}
		defer f.close()
		return t.judgeName(of.to, func(to *entry) unix.Errno {
			switch {
			case to.there:
				return 0
			case t.readOnly(&to.dir):
				return unix.EROFS
			case t.apart(&f, &to.dir):
				return unix.EXDEV
			}
			return 0
		})
	}
}

// apart reports whether two files lie in different mounts.
func (t *task) apart(a, b *file) bool {
	one, _ := t.mountOf(a)
	other, _ := t.mountOf(b)
	return one != other
}

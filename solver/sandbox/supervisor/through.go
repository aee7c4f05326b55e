//go:build linux

package supervisor

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Programs reach files that they have open through /proc/self/fd: to change the mode of what may be a link, as
// the C library does, or to give a name to a file that has none.

// chmod answers chmod calls whose directory and path are these arguments; the mode follows the path.
func chmod(dir, name int) handler {
	return func(t *task) answer {
		there, ok := t.through(dir, name)
		if !ok {
			return proceed()
		}
		defer there.close()
		var err error
		t.as(func() { err = unix.Chmod(there.path(), uint32(t.args[name+1])&0o7777) })
		if err != nil {
			return failure(err)
		}
		return result(0)
	}
}

// through returns the descriptor that the task names by a path in /proc.
func (t *task) through(dir, name int) (procFile, bool) {
	p, err := t.place(dir, name, true)
	if err != nil {
		return procFile{}, false
	}
	shown, ok := procPath(p.path)
	if !ok || path.Base(path.Dir(shown)) != "fd" {
		return procFile{}, false
	}
	return t.realProc(shown)
}

// ownProc returns the name that a file of /proc has in the directory of the task's process, if p leads there. To this
// process self would be another.
func (t *task) ownProc(p place) (name string, ok bool) {
	shown, ok := procPath(p.path)
	if !ok || !p.follow {
		return "", false
	}
	process, name, _ := strings.Cut(shown, "/")
	return name, process == "self" || process == "thread-self" || process == t.number()
}

// number is the task's process in its own pid namespace.
func (t *task) number() string {
	all := t.status("NStgid")
	return all[strings.LastIndex(all, "\t")+1:]
}

// linkat answers linkat(2) for such a file.
func linkat(t *task) answer {
	there, ok := t.through(0, 1)
	if !ok {
		return proceed()
	}
	defer there.close()
	p, err := t.place(2, 3, false)
	if err != nil {
		return failure(err)
	}
	base := path.Base(p.path)
	p.path = strings.TrimSuffix(p.path, base) + "."
	parent, err := t.openPath(p, unix.O_DIRECTORY)
	if err != nil {
		return failure(err)
	}
	defer parent.close()
	t.as(func() { err = unix.Linkat(unix.AT_FDCWD, there.path(), parent.fd, base, unix.AT_SYMLINK_FOLLOW) })
	if err != nil {
		return failure(err)
	}
	return result(0)
}

// following restricts a call, whose flags are argument i, to those that follow links.
func following(i uint) []Bits {
	return []Bits{{Index: i, Mask: unix.AT_SYMLINK_FOLLOW, Value: unix.AT_SYMLINK_FOLLOW}}
}

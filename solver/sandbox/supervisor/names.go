//go:build linux

package supervisor

import (
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// remove answers the calls that take a name away.
func remove(r removal) handler {
	return unlessRoot(func(t *task, who identity) answer {
		p, err := r.of(t)
		if err != nil {
			return failure(err)
		}
		e, err := t.findName(p, who)
		if err != nil {
			return failure(err)
		}
		defer e.close()
		if !e.named() {
			return failure(nameless(p.path, r.directory(t)))
		}
		if err := t.mayRemove(who, &e); err != nil {
			return failure(e.dir.refusal(err))
		}
		flags := 0
		if r.directory(t) {
			flags = unix.AT_REMOVEDIR
		}
		return done(unix.Unlinkat(e.dir.fd, e.path(), flags))
	})
}

// nameless is why what has a path that does not end in a name cannot be taken away.
func nameless(name string, directory bool) error {
	switch base := path.Base(name); {
	case !directory:
		return unix.EISDIR
	case base == ".":
		return unix.EINVAL
	case base == "..":
		return unix.ENOTEMPTY
	}
	return unix.EBUSY
}

// rename answers the calls that move a name.
func rename(of pair, flags func(t *task) uint) handler {
	return unlessRoot(func(t *task, who identity) answer {
		return t.withPair(of, who, t.findName, func(from, to *entry) error {
			if err := t.mayRename(who, from, to, flags(t)); err != nil {
				return err
			}
			return unix.Renameat2(from.dir.fd, from.path(), to.dir.fd, to.path(), flags(t))
		})
	})
}

// mayRename says why one entry cannot take the place of another, if it cannot.
func (t *task) mayRename(who identity, from, to *entry, flags uint) error {
	switch {
	case !from.around().beside(to.around()):
		return unix.EXDEV
	case !from.named() || !to.named():
		return unix.EBUSY
	case !from.there || !to.there && flags&unix.RENAME_EXCHANGE != 0:
		return from.dir.refusal(unix.ENOENT)
	case to.there && flags&unix.RENAME_NOREPLACE != 0:
		return unix.EEXIST
	case (from.slash || to.slash) && !from.file.is(unix.S_IFDIR):
		return unix.ENOTDIR
	case flags&unix.RENAME_WHITEOUT != 0: // which is a device
		return unix.EPERM
	}
	if err := t.mayRemove(who, from); err != nil {
		return err
	}
	switch {
	case !from.dir.same(&to.dir) && from.file.is(unix.S_IFDIR) && !t.may(who, &from.file, write): // its ".." changes
		return unix.EACCES
	case to.there:
		return t.mayRemove(who, to)
	case !t.may(who, &to.dir, write|execute):
		return unix.EACCES
	}
	return nil
}

// link answers the calls that give a file another name.
func link(of pair) handler {
	return unlessRoot(func(t *task, who identity) answer {
		return t.withPair(of, who, t.find, func(from, to *entry) error {
			switch {
			case !from.there:
				return unix.ENOENT
			case to.there || !to.named():
				return unix.EEXIST
			case to.slash:
				return unix.ENOENT
			case !from.file.beside(&to.dir):
				return unix.EXDEV
			case !t.mayLink(who, &from.file):
				return unix.EPERM
			case !t.may(who, &to.dir, write|execute):
				return unix.EACCES
			}
			return unix.Linkat(unix.AT_FDCWD, from.file.path(), to.dir.fd, to.path(), unix.AT_SYMLINK_FOLLOW)
		})
	})
}

// mayLink reports whether who may give f another name, where others' files are protected from that, see
// fs.protected_hardlinks in proc_sys_fs(5).
func (t *task) mayLink(who identity, f *file) bool {
	const setgid = unix.S_ISGID | unix.S_IXGRP
	if t.owns(who, f) {
		return true
	}
	protected, err := os.ReadFile("/proc/sys/fs/protected_hardlinks")
	if err != nil || string(protected) == "0\n" {
		return true
	}
	return f.is(unix.S_IFREG) && f.Mode&unix.S_ISUID == 0 && f.Mode&setgid != setgid && t.may(who, f, read|write)
}

// finding is one of the ways to resolve a place.
type finding func(p place, who identity) (entry, error)

// withPair does something with the two entries that a call names.
func (t *task) withPair(of pair, who identity, find finding, do func(from, to *entry) error) answer {
	p, err := of.from(t)
	if err != nil {
		return failure(err)
	}
	to, err := of.to(t)
	if err != nil {
		return failure(err)
	}
	source, err := t.source(p, who, find)
	if err != nil {
		return failure(err)
	}
	defer source.close()
	target, err := t.findName(to, who)
	if err != nil {
		return failure(err)
	}
	defer target.close()
	return done(do(&source, &target))
}

// source is the first of two entries, which may be what is open.
func (t *task) source(p place, who identity, find finding) (entry, error) {
	if p.path != "" {
		return find(p, who)
	}
	f, err := t.descriptor(p.dir)
	return entry{file: f, there: err == nil}, err
}

// nameCalls are the calls that this file answers.
func nameCalls() map[string]handled {
	calls := map[string]handled{}
	for name, r := range removals() {
		calls[name] = handled{answer: remove(r)}
	}
	for name, of := range renamed() {
		calls[name] = handled{answer: rename(of, func(t *task) uint {
			if name != "renameat2" {
				return 0
			}
			return uint(t.args[4])
		})}
	}
	for name, of := range linked() {
		calls[name] = handled{answer: link(of)}
	}
	return calls
}

//go:build linux

package supervisor

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The rules are those of kernel/sys.c for a kernel on which root is who may change its ids.

// has reports whether id is one of the three that a process may choose from.
func (i ids) has(id uint32) bool { return id == i.real || id == i.effective || id == i.saved }

// choose returns the ids after setuid(2) or setgid(2).
func (i ids) choose(id uint32, privileged bool) (ids, bool) {
	switch {
	case privileged:
		return all(id), true
	case id == i.real || id == i.saved:
		i.effective, i.fs = id, id
		return i, true
	}
	return i, false
}

// exchange returns the ids after setreuid(2) or setregid(2).
func (i ids) exchange(re, effective uint32, privileged bool) (ids, bool) {
	next := i
	if re != unchanged {
		if !privileged && re != i.real && re != i.effective {
			return i, false
		}
		next.real = re
	}
	if effective != unchanged {
		if !privileged && !i.has(effective) {
			return i, false
		}
		next.effective = effective
	}
	if re != unchanged || effective != unchanged && effective != i.real {
		next.saved = next.effective
	}
	next.fs = next.effective
	return next, true
}

// assign returns the ids after setresuid(2) or setresgid(2).
func (i ids) assign(re, effective, saved uint32, privileged bool) (ids, bool) {
	next := i
	for _, change := range []struct {
		to uint32
		at *uint32
	}{{re, &next.real}, {effective, &next.effective}, {saved, &next.saved}} {
		if change.to == unchanged {
			continue
		}
		if !privileged && !i.has(change.to) {
			return i, false
		}
		*change.at = change.to
	}
	next.fs = next.effective
	return next, true
}

// change is one of the three functions above, applied to the arguments of a call.
type change func(i ids, t *task, privileged bool) (ids, bool)

func set1(i ids, t *task, privileged bool) (ids, bool) { return i.choose(t.id(0), privileged) }

func set2(i ids, t *task, privileged bool) (ids, bool) {
	return i.exchange(t.id(0), t.id(1), privileged)
}

func set3(i ids, t *task, privileged bool) (ids, bool) {
	return i.assign(t.id(0), t.id(1), t.id(2), privileged)
}

func setUser(c change) handler {
	return func(t *task) answer {
		who := t.identity()
		uid, ok := c(who.uid, t, who.capable)
		if !ok {
			return failure(unix.EPERM)
		}
		return t.becoming(who.with(uid))
	}
}

func setGroup(c change) handler {
	return func(t *task) answer {
		who := t.identity()
		var ok bool
		if who.gid, ok = c(who.gid, t, who.capable); !ok {
			return failure(unix.EPERM)
		}
		return t.becoming(who)
	}
}

func (t *task) becoming(who identity) answer {
	if err := t.become(who); err != nil {
		return failure(unix.EAGAIN)
	}
	return result(0)
}

// setFS answers setfsuid(2) and setfsgid(2), which tell the old id and no errors.
func setFS(of func(*identity) *ids) handler {
	return func(t *task) answer {
		who := t.identity()
		i := of(&who)
		old := i.fs
		if id := t.id(0); who.capable || i.has(id) || id == old {
			i.fs = id
			if err := t.become(who); err != nil {
				return failure(unix.EAGAIN)
			}
		}
		return result(int64(old))
	}
}

func users(i *identity) *ids  { return &i.uid }
func groups(i *identity) *ids { return &i.gid }

// getOne answers getuid(2) and its kin.
func getOne(of func(*identity) *ids, pick func(*ids) uint32) handler {
	return func(t *task) answer {
		who := t.identity()
		return result(int64(pick(of(&who))))
	}
}

func realOf(i *ids) uint32      { return i.real }
func effectiveOf(i *ids) uint32 { return i.effective }

// getAll answers getresuid(2) and getresgid(2).
func getAll(of func(*identity) *ids) handler {
	return func(t *task) answer {
		who := t.identity()
		i := of(&who)
		for n, id := range []uint32{i.real, i.effective, i.saved} {
			if err := t.write(t.args[n], t.narrowed(wide(id))); err != nil {
				return failure(unix.EFAULT)
			}
		}
		return result(0)
	}
}

// narrowed makes ids of 16 bits of those in b if the call has such.
func (t *task) narrowed(b []byte) []byte {
	if !t.legacy {
		return b
	}
	var short []byte
	for ; len(b) > 0; b = b[4:] {
		short = binary.NativeEndian.AppendUint16(short, uint16(binary.NativeEndian.Uint32(b)))
	}
	return short
}

// maxGroups is NGROUPS_MAX.
const maxGroups = 65536

func setGroups(t *task) answer {
	who := t.identity()
	n := int(int32(t.args[0]))
	switch {
	case !who.capable:
		return failure(unix.EPERM)
	case n < 0 || n > maxGroups:
		return failure(unix.EINVAL)
	}
	size := 4
	if t.legacy {
		size = 2
	}
	b := make([]byte, n*size)
	if n > 0 {
		if err := t.read(t.args[1], b); err != nil {
			return failure(unix.EFAULT)
		}
	}
	who.groups = string(b)
	if t.legacy {
		var list []uint32
		for ; len(b) > 0; b = b[2:] {
			list = append(list, uint32(binary.NativeEndian.Uint16(b)))
		}
		who.groups = packGroups(list)
	}
	return t.becoming(who)
}

func getGroups(t *task) answer {
	groups := []byte(t.identity().groups)
	room, n := int(int32(t.args[0])), len(groups)/4
	if room == 0 {
		return result(int64(n))
	}
	if room < n {
		return failure(unix.EINVAL)
	}
	if err := t.write(t.args[1], t.narrowed(groups)); err != nil {
		return failure(unix.EFAULT)
	}
	return result(int64(n))
}

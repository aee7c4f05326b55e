//go:build linux

package sandbox

import "unsafe"

// callList collects calls and keeps what they point to.
type callList struct {
	calls []call
	keep  []any
}

// add appends a call that must succeed.
func (l *callList) add(what string, nr uintptr, args ...uintptr) *call {
	c := call{what: what, nr: nr}
	copy(c.args[:], args)
	l.calls = append(l.calls, c)
	return &l.calls[len(l.calls)-1]
}

// addSaved appends a call whose first argument is the last saved result.
func (l *callList) addSaved(what string, nr uintptr, args ...uintptr) *call {
	c := l.add(what, nr, args...)
	c.fd = 1
	return c
}

// try appends a call that may fail.
func (l *callList) try(what string, nr uintptr, args ...uintptr) {
	l.add(what, nr, args...).optional = true
}

func (l *callList) bytes(b []byte) uintptr {
	l.keep = append(l.keep, b)
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}

// text returns the address of s as C has it.
func (l *callList) text(s string) uintptr { return l.bytes(append([]byte(s), 0)) }

// texts returns the address of a list of strings as execve has it.
func (l *callList) texts(list []string) uintptr {
	pointers := make([]uintptr, len(list)+1)
	for i, s := range list {
		pointers[i] = l.text(s)
	}
	l.keep = append(l.keep, pointers)
	return uintptr(unsafe.Pointer(&pointers[0]))
}

func (l *callList) ids(ids []uint32) uintptr {
	if len(ids) == 0 {
		return 0
	}
	l.keep = append(l.keep, ids)
	return uintptr(unsafe.Pointer(&ids[0]))
}

//go:build linux

package supervisor

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Threads are not asked about, and what the filter refuses is not passed on.
func TestNewProcess(t *testing.T) {
	for flags, want := range map[uint64]bool{
		uint64(unix.SIGCHLD): true, unix.CLONE_VM | unix.CLONE_VFORK: true, unix.CLONE_PARENT: true,
		unix.CLONE_THREAD | unix.CLONE_SIGHAND | unix.CLONE_VM: false, unix.CLONE_NEWUSER: false, unix.CLONE_NEWNS | 17: false,
	} {
		b := newProcess()[0]
		if got := flags&b.Mask == b.Value; got != want {
			t.Errorf("clone(%#x) is passed on: %v, want %v", flags, got, want)
		}
	}
}

func TestEnd(t *testing.T) {
	s := &Supervisor{}
	task := &task{Supervisor: s}
	if a := begin(task); a.flags != unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE {
		t.Errorf("a process cannot begin: %+v", a)
	}
	if s.End(); begin(task).errno != unix.EAGAIN {
		t.Error("a process begins after the end")
	}
}

// The kernel takes these arguments as numbers of 32 bits: what is in the other half makes no difference.
func TestHalfArguments(t *testing.T) {
	for name, c := range map[string]struct {
		where []Bits
		value uint64
	}{
		"the limit that marks": {markLimit(1), unix.RLIMIT_RTTIME}, "the timer slack": {noted(), unix.PR_SET_TIMERSLACK},
		"keeping capabilities": {noted(), unix.PR_SET_KEEPCAPS},
	} {
		for _, high := range []uint64{0, 1 << 32, 1 << 63} {
			if !slices.ContainsFunc(c.where, func(b Bits) bool { return (high|c.value)&b.Mask == b.Value }) {
				t.Errorf("%s as %#x is not passed on", name, high|c.value)
			}
		}
	}
}

//go:build linux

package supervisor

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A handler for children that have ended is set such that calls which are passed on are not interrupted by it.
func TestHandlersRestart(t *testing.T) {
	const others = 0x04000001 // SA_RESTORER, SA_NOCLDSTOP
	for _, c := range []struct {
		name   string
		narrow bool
		flags  int
	}{{"64 bits", false, 2}, {"32 bits", true, 1}} {
		action := &[4]uint32{1, 0, 0, 0}
		action[c.flags] = others
		task := &task{
			Supervisor: &Supervisor{}, notification: notification{pid: uint32(os.Getpid())}, dir: "/proc/self",
			narrow: c.narrow, waits: func() bool { return true },
		}
		task.args = [6]uint64{uint64(unix.SIGCHLD), uint64(uintptr(unsafe.Pointer(action)))}
		if got := restarting(task); got != proceed() {
			t.Errorf("%s: it is answered with %+v", c.name, got)
		}
		want := [4]uint32{1, 0, 0, 0}
		want[c.flags] = others | saRestart
		if *action != want {
			t.Errorf("%s: the action is %x, want %x", c.name, *action, want)
		}
	}
}

// What cannot be read, or is only a question, is the kernel's affair.
func TestQuestionsForHandlers(t *testing.T) {
	task := &task{Supervisor: &Supervisor{}, notification: notification{pid: uint32(os.Getpid())}, dir: "/proc/self"}
	for _, action := range []uint64{0, 16} {
		task.args = [6]uint64{uint64(unix.SIGCHLD), action}
		if got := restarting(task); got != proceed() {
			t.Errorf("an action at %d is answered with %+v", action, got)
		}
	}
}

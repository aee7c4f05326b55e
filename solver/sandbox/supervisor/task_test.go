//go:build linux

package supervisor

import (
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A task that has ended meanwhile may have left its number to another: nothing is written there.
func TestNothingIsWrittenToAnotherTask(t *testing.T) {
	waiting := true
	task := &task{
		Supervisor: &Supervisor{}, notification: notification{pid: uint32(os.Getpid())}, dir: "/proc/self",
		waits: func() bool { return waiting },
	}
	memory := new([4]byte)
	address := uint64(uintptr(unsafe.Pointer(memory)))
	if err := task.write(address, []byte("here")); err != nil || string(memory[:]) != "here" {
		t.Fatalf("writing to a task that waits: %q, %v", memory, err)
	}
	waiting = false
	if err := task.write(address, []byte("gone")); !errors.Is(err, unix.ESRCH) || string(memory[:]) != "here" {
		t.Errorf("writing to a task that has ended: %q, %v", memory, err)
	}
	if err := task.become(identity{uid: all(7)}); !errors.Is(err, unix.ESRCH) {
		t.Errorf("an ended task becomes another user: %v", err)
	}
}

//go:build linux

package supervisor

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Who is at the other end of a socket is who that process is for the step, in as much as there is room for.
func TestPeer(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = unix.Close(ends[0]), unix.Close(ends[1]) }()
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &Supervisor{identities: []identity{{}, User{UID: 1000, GID: 50}.identity()}, slack: uint64(slack) - 1}
	s.calls = ownerCalls()
	root, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s.surround(Surroundings{Root: root})
	task := &task{Supervisor: s, notification: notification{pid: uint32(os.Getpid())}, dir: "/proc/self", waits: func() bool { return true }}
	us := uint32(os.Getpid())
	for _, c := range []struct {
		room uint32
		size uint32
		want [4]uint32
	}{
		{12, 12, [4]uint32{us, 1000, 50, 7}},
		{16, 12, [4]uint32{us, 1000, 50, 7}},
		{8, 8, [4]uint32{us, 1000, 7, 7}},
		{0, 0, [4]uint32{7, 7, 7, 7}},
	} {
		value, size := &[4]uint32{7, 7, 7, 7}, &[1]uint32{c.room}
		task.args = [6]uint64{uint64(ends[0]), unix.SOL_SOCKET, unix.SO_PEERCRED, uint64(uintptr(unsafe.Pointer(value))), uint64(uintptr(unsafe.Pointer(size)))}
		if got := s.calls["getsockopt"].answer(task); got != result(0) {
			t.Errorf("with room for %d: %+v", c.room, got)
		}
		if *value != c.want || size[0] != c.size {
			t.Errorf("with room for %d: %d, %d bytes; want %d", c.room, *value, size[0], c.want)
		}
	}
	// What is no socket, and what is at another level, the kernel is asked for.
	for _, args := range [][2]int{{int(root.Fd()), unix.SOL_SOCKET}, {ends[0], unix.IPPROTO_TCP}, {-1, unix.SOL_SOCKET}} {
		task.args[0], task.args[1] = uint64(uint32(args[0])), uint64(args[1])
		if got := s.calls["getsockopt"].answer(task); got != proceed() {
			t.Errorf("descriptor %d at level %d: %+v", args[0], args[1], got)
		}
	}
}

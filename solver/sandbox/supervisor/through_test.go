//go:build linux

package supervisor

import (
	"os"
	"strconv"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a task has open can be named by its number, by a path in its /proc and by one in /dev.
func TestOwnLinks(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	us, fd := strconv.Itoa(os.Getpid()), strconv.Itoa(int(f.Fd()))
	task := &task{Supervisor: &Supervisor{rootFD: int(root.Fd())}, dir: "/proc/" + us}
	for _, name := range []string{"/proc/self/fd/", "/proc/thread-self/fd/", "/proc/" + us + "/fd/", "/dev/fd/", "/proc/self/../self/fd/"} {
		var want unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &want); err != nil {
			t.Fatal(err)
		}
		got, err := task.open(place{path: name + fd, follow: true})
		if err != nil || got.Ino != want.Ino || got.Dev != want.Dev {
			t.Errorf("%s leads to %+v, %v", name, got.Stat_t, err)
		}
		got.close()
	}
	for name, want := range map[string]bool{
		"/proc/self/exe": true, "/proc/self/cwd": true, "/proc/self/status": true, "/proc/thread-self/fd": true, "/proc/cpuinfo": true,
		"/proc/self/fd/9999": false, "/proc/self/fd/x": false, "/proc/1/exe": false, "/proc/1/fd/0": false, "/proc/self/map_files/../exe": true,
	} {
		got, err := task.open(place{path: name, follow: true})
		if (err == nil) != want {
			t.Errorf("%s can be opened: %v, want %v", name, err, want)
		}
		if err == nil {
			got.close()
		}
	}
}

// A number that is no descriptor names no file, least of all the working directory.
func TestBadDescriptors(t *testing.T) {
	calls := ownerCalls()
	name := append([]byte("user.colour"), 0)
	for _, fd := range []int{-1, unix.AT_FDCWD, 9999} {
		task := &task{
			Supervisor: &Supervisor{identities: []identity{User{}.identity()}}, dir: "/proc/self",
			notification: notification{pid: uint32(os.Getpid())}, waits: func() bool { return true },
		}
		task.args = [6]uint64{uint64(uint32(fd)), uint64(uintptr(unsafe.Pointer(&name[0])))}
		for _, call := range []string{"flistxattr", "fsetxattr", "fremovexattr", "fchown"} {
			if got := calls[call].answer(task); got.errno != unix.EBADF {
				t.Errorf("%s(%d) is answered with %+v", call, fd, got)
			}
		}
		if got := calls["fstat"].answer(task); got != proceed() {
			t.Errorf("fstat(%d) is answered with %+v", fd, got)
		}
	}
}

// The kernel lists what of /proc a supervisor cannot open; it is not left to change anything.
func TestAttributesInProc(t *testing.T) {
	calls := ownerCalls()
	path, name := append([]byte("/proc/self/fd/9999"), 0), append([]byte("user.colour"), 0)
	task := &task{
		Supervisor: &Supervisor{identities: []identity{User{}.identity()}}, dir: "/proc/self",
		notification: notification{pid: uint32(os.Getpid())}, waits: func() bool { return true },
	}
	task.args = [6]uint64{uint64(uintptr(unsafe.Pointer(&path[0]))), uint64(uintptr(unsafe.Pointer(&name[0])))}
	for call, want := range map[string]answer{
		"listxattr": proceed(), "setxattr": failure(unix.ENOENT), "removexattr": failure(unix.ENOENT),
	} {
		if got := calls[call].answer(task); got != want {
			t.Errorf("%s is answered with %+v, want %+v", call, got, want)
		}
	}
}

//go:build linux

package supervisor

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The protocol of seccomp_unotify(2), in the words of linux/seccomp.h.

// notification is struct seccomp_notif.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// addFD is struct seccomp_notif_addfd.
type addFD struct {
	id       uint64
	flags    uint32
	fd       uint32
	newFD    uint32
	newFlags uint32
}

// ioctlSetFlags is SECCOMP_IOCTL_NOTIF_SET_FLAGS.
const ioctlSetFlags = 0x40082104

// listener is the descriptor from which notifications come.
type listener struct {
	file *os.File
}

func newListener(f *os.File) listener {
	// With this flag, since Linux 6.6, the kernel switches to the supervisor and back on one processor, which
	// takes 7 µs instead of 42.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, f.Fd(), ioctlSetFlags, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	return listener{f}
}

func (l listener) ioctl(request uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, l.file.Fd(), request, uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

// receive waits for a notification. ENOENT says that its task, or the last of all tasks, has ended meanwhile; EINTR
// that a signal has come. It must be this call that waits: until the kernel has handed a notification over, a signal
// to its task ends the call with EINTR, which no program expects of fork(2).
func (l listener) receive() (notification, error) {
	var n notification // the kernel wants zeros
	err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
	return n, err
}

// ended reports whether all whose calls are notified have ended, for which it waits so many milliseconds, -1 without
// an end.
func (l listener) ended(patience int) bool {
	poll := []unix.PollFd{{Fd: int32(l.file.Fd())}}
	for {
		_, err := unix.Poll(poll, patience)
		if err != unix.EINTR {
			return err != nil || poll[0].Revents != 0
		}
	}
}

// waits reports whether the task of a notification still waits for its answer. While it does its number is no
// other task's.
func (l listener) waits(id uint64) bool {
	return l.ioctl(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) == nil
}

// answer lets the task go on. One that has ended meanwhile does not matter.
func (l listener) answer(id uint64, a answer) {
	if a.install {
		add := addFD{id: id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, fd: uint32(a.value), newFlags: a.flags}
		err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&add))
		_ = unix.Close(int(a.value))
		if err == nil || errors.Is(err, unix.ENOENT) {
			return
		}
		a = failure(err)
	}
	r := response{id: id, value: a.value, errno: -int32(a.errno), flags: a.flags}
	_ = l.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
}

// answer is what becomes of a call.
type answer struct {
	value int64
	errno unix.Errno
	// flags are those of the response or, with install, of the new descriptor.
	flags uint32
	// install gives the task the file that is open at value here, which is closed then, and makes the new
	// descriptor the result.
	install bool
}

// proceed lets the kernel do the call.
func proceed() answer { return answer{flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE} }

func result(v int64) answer { return answer{value: v} }

func failure(err error) answer {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return answer{errno: errno}
	}
	return answer{errno: unix.EPERM}
}

// open gives the task a file.
func open(fd int, closeOnExec bool) answer {
	a := answer{value: int64(fd), install: true}
	if closeOnExec {
		a.flags = unix.O_CLOEXEC
	}
	return a
}

//go:build linux

package supervisor

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// task is a thread that waits for the answer to one of its calls.
type task struct {
	*Supervisor
	notification
	// legacy: the call has ids of 16 bits; narrow: its pointers have 32.
	legacy, narrow bool
	// dir is the task's directory in /proc.
	dir string
	// waits reports whether the task is still there: if not, its number may be another's.
	waits func() bool
}

// proc returns the path of a file about the task.
func (t *task) proc(name string) string { return t.dir + "/" + name }

// fd returns argument i as a descriptor.
func (t *task) fd(i int) int { return int(int32(t.args[i])) }

// id returns argument i as an id; -1 is unchanged.
func (t *task) id(i int) uint32 {
	if v := uint32(t.args[i]); !t.legacy || v&0xffff != 0xffff {
		return v
	}
	return unchanged
}

// pageSize is no larger than a page anywhere, so that a read of the rest of one cannot fail in its middle.
const pageSize = 4096

// text reads a string from the task's memory.
func (t *task) text(address uint64) (string, error) {
	var all []byte
	var b [256]byte
	for len(all) < unix.PathMax {
		n := min(uint64(len(b)), pageSize-address%pageSize)
		if err := t.read(address, b[:n]); err != nil {
			return "", err
		}
		if end := bytes.IndexByte(b[:n], 0); end >= 0 {
			return string(append(all, b[:end]...)), nil
		}
		all = append(all, b[:n]...)
		address += n
	}
	return "", unix.ENAMETOOLONG
}

// read fills b from the task's memory.
func (t *task) read(address uint64, b []byte) error {
	local := []unix.Iovec{{Base: unsafe.SliceData(b), Len: uint64(len(b))}}
	remote := []unix.RemoteIovec{{Base: uintptr(address), Len: len(b)}}
	n, err := unix.ProcessVMReadv(int(t.pid), local, remote, 0)
	if errors.Is(err, unix.EPERM) {
		n, err = t.memory(unix.O_RDONLY, func(fd int) (int, error) { return unix.Pread(fd, b, int64(address)) })
	}
	return whole(n, err, b)
}

// write writes b into the task's memory.
func (t *task) write(address uint64, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if !t.waits() {
		return unix.ESRCH
	}
	local := []unix.Iovec{{Base: unsafe.SliceData(b), Len: uint64(len(b))}}
	remote := []unix.RemoteIovec{{Base: uintptr(address), Len: len(b)}}
	n, err := unix.ProcessVMWritev(int(t.pid), local, remote, 0)
	if errors.Is(err, unix.EPERM) {
		n, err = t.memory(unix.O_WRONLY, func(fd int) (int, error) { return unix.Pwrite(fd, b, int64(address)) })
	}
	return whole(n, err, b)
}

// whole turns a short transfer into an error.
func whole(n int, err error, b []byte) error {
	if err == nil && n != len(b) {
		return unix.EFAULT
	}
	return err
}

// memory opens the task's memory as the task's user would, which is allowed where this process is root
// without the right to trace others.
func (t *task) memory(flags int, transfer func(fd int) (int, error)) (n int, err error) {
	t.as(func() {
		var fd int
		if fd, err = unix.Open(t.proc("mem"), flags|unix.O_CLOEXEC, 0); err == nil {
			defer func() { _ = unix.Close(fd) }()
			n, err = transfer(fd)
		}
	})
	return n, err
}

// as does something with the rights that the task's user has over files. The calling thread must be locked.
func (t *task) as(do func()) {
	var st unix.Stat_t
	if err := unix.Stat(t.dir, &st); err != nil || st.Uid == 0 && st.Gid == 0 || unix.Geteuid() != 0 {
		do()
		return
	}
	gid, _, _ := unix.RawSyscall(unix.SYS_SETFSGID, uintptr(st.Gid), 0, 0)
	uid, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, uintptr(st.Uid), 0, 0)
	do()
	_, _, _ = unix.RawSyscall(unix.SYS_SETFSUID, uid, 0, 0)
	_, _, _ = unix.RawSyscall(unix.SYS_SETFSGID, gid, 0, 0)
}

// wide returns the bytes of ids as the kernel stores them.
func wide(ids ...uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(ids))), 4*len(ids))
}

// status returns what the kernel says about the task under a key, see proc_pid_status(5); "" if nothing.
func (t *task) status(key string) string {
	text, err := os.ReadFile(t.proc("status"))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(text), "\n"+key+":\t")
	value, _, _ := strings.Cut(after, "\n")
	return value
}

// umask is what the task leaves out of the modes of new files.
func (t *task) umask() uint32 {
	f, err := os.Open(t.proc("status"))
	if err != nil {
		return 0o022
	}
	defer f.Close()
	var b [128]byte
	n, _ := f.Read(b[:])
	_, after, _ := strings.Cut(string(b[:n]), "\nUmask:\t")
	mask, _, _ := strings.Cut(after, "\n")
	v, err := strconv.ParseUint(mask, 8, 32)
	if err != nil {
		return 0o022
	}
	return uint32(v)
}

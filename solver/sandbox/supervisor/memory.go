//go:build linux

package supervisor

import (
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Memory is a file that is empty on disk and whose content is in another, for instance a secret.
type Memory struct {
	// Device and Inode identify the empty file.
	Device, Inode uint64
	// Content is a file in memory.
	Content *os.File
}

// openMemory opens the content of a file that is elsewhere.
func (t *task) openMemory(p place, flags int) answer {
	f, err := t.open(p)
	if err != nil {
		return proceed()
	}
	defer f.close()
	i := slices.IndexFunc(t.files.Memory, func(m Memory) bool { return m.Device == f.Dev && m.Inode == f.Ino })
	switch {
	case i < 0 || flags&unix.O_PATH != 0:
		return proceed()
	case flags&unix.O_ACCMODE != unix.O_RDONLY:
		return failure(unix.EROFS)
	}
	content := file{fd: int(t.files.Memory[i].Content.Fd())}
	var fd int
	t.as(func() { fd, err = unix.Open(content.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return failure(err)
	}
	return open(fd, flags&unix.O_CLOEXEC != 0)
}

// ofDescriptor restricts stat calls, whose flags are argument i, to those about a descriptor.
func ofDescriptor(i uint) []Bits {
	return []Bits{{Index: i, Mask: unix.AT_EMPTY_PATH, Value: unix.AT_EMPTY_PATH}}
}

// contentOf returns the file in memory that the task has open as descriptor fd.
func (t *task) contentOf(fd int) (m Memory, f file, ok bool) {
	f, err := t.descriptor(fd)
	if err != nil {
		return m, f, false
	}
	i := slices.IndexFunc(t.files.Memory, func(m Memory) bool {
		var st unix.Stat_t
		return unix.Fstat(int(m.Content.Fd()), &st) == nil && st.Dev == f.Dev && st.Ino == f.Ino
	})
	if i < 0 {
		f.close()
		return m, f, false
	}
	return t.files.Memory[i], f, true
}

// fstatMemory answers fstat(2): the file in memory is shown as the one that was opened, because programs make
// sure that it is.
func fstatMemory(t *task) answer { return t.statMemory(t.args[1]) }

func newfstatatMemory(t *task) answer {
	if name, err := t.text(t.args[1]); err != nil || name != "" {
		return proceed()
	}
	return t.statMemory(t.args[2])
}

func (t *task) statMemory(to uint64) answer {
	m, f, ok := t.contentOf(t.fd(0))
	if !ok {
		return proceed()
	}
	defer f.close()
	f.Dev, f.Ino = m.Device, m.Inode
	if err := t.write(to, unsafe.Slice((*byte)(unsafe.Pointer(&f.Stat_t)), unsafe.Sizeof(f.Stat_t))); err != nil {
		return failure(unix.EFAULT)
	}
	return result(0)
}

func statxMemory(t *task) answer {
	if name, err := t.text(t.args[1]); err != nil || name != "" {
		return proceed()
	}
	m, f, ok := t.contentOf(t.fd(0))
	if !ok {
		return proceed()
	}
	defer f.close()
	var x unix.Statx_t
	if err := unix.Statx(f.fd, "", unix.AT_EMPTY_PATH, int(t.args[3]), &x); err != nil {
		return failure(err)
	}
	x.Dev_major, x.Dev_minor, x.Ino = unix.Major(m.Device), unix.Minor(m.Device), m.Inode
	if err := t.write(t.args[4], unsafe.Slice((*byte)(unsafe.Pointer(&x)), unsafe.Sizeof(x))); err != nil {
		return failure(unix.EFAULT)
	}
	return result(0)
}

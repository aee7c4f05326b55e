//go:build linux

package snapshot

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// bufferSize is the size in bytes up to which a file is copied by reading and writing it at once, reflinkSize
// that from which a reference costs less than the bytes.
const (
	bufferSize  = 64 << 10
	reflinkSize = 8 << 10
)

// copyContent copies what a file holds.
func (c *copier) copyContent(source, target int, st *unix.Stat_t) error {
	switch {
	case st.Size == 0:
		return nil
	case st.Size >= reflinkSize && c.reflink(source, target):
		return nil
	case st.Size <= bufferSize:
		return c.copySmall(source, target, st.Size)
	case st.Blocks*512 < st.Size:
		return copyData(source, target, st.Size)
	}
	return copyRange(source, target, 0, st.Size)
}

func (c *copier) copySmall(source, target int, size int64) error {
	p, _ := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(p)
	b := (*p)[:size]
	n, err := unix.Read(source, b)
	if err != nil {
		return err
	}
	if int64(n) != size {
		return copyRange(source, target, 0, size)
	}
	if n, err = unix.Write(target, b); err == nil && int64(n) != size {
		err = io.ErrShortWrite
	}
	return err
}

// reflink makes target refer to the content of source, if that is possible.
func (c *copier) reflink(source, target int) bool {
	if c.noReflink.Load() {
		return false
	}
	if unix.IoctlFileClone(target, source) != nil {
		c.noReflink.Store(true)
		return false
	}
	return true
}

// copyData copies the parts of a file that are not holes.
func copyData(source, target int, size int64) error {
	for at := int64(0); ; {
		start, err := unix.Seek(source, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return unix.Ftruncate(target, size)
		}
		if err != nil {
			return err
		}
		if at, err = unix.Seek(source, start, unix.SEEK_HOLE); err != nil {
			return err
		}
		if err := copyRange(source, target, start, at); err != nil {
			return err
		}
	}
}

// copyRange copies the bytes from start to end in the kernel.
func copyRange(source, target int, start, end int64) error {
	from, to := start, start
	for from < end {
		n, err := unix.CopyFileRange(source, &from, target, &to, int(min(end-from, 1<<30)), 0)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case errors.Is(err, unix.EXDEV), refused(err):
			return copyThrough(source, target, from, end)
		case err != nil:
			return err
		case n == 0:
			return errShrunk
		}
	}
	return nil
}

// errShrunk: a file has fewer bytes than it had a moment ago.
var errShrunk = errors.New("it was changed while it was copied")

// copyThrough copies the bytes from start to end through this process.
func copyThrough(source, target int, start, end int64) error {
	b := make([]byte, 4*bufferSize)
	for at := start; at < end; {
		n, err := unix.Pread(source, b[:min(int64(len(b)), end-at)], at)
		if err == nil && n == 0 {
			err = errShrunk
		}
		if err != nil {
			return err
		}
		written, err := unix.Pwrite(target, b[:n], at)
		if err != nil {
			return err
		}
		at += int64(written)
	}
	return nil
}

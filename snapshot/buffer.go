package snapshot

import (
	"io"
	"sync"
)

// readSize is how much of a file is read at once.
const readSize = 64 << 10

// buffers are for reading files: one for each of thousands would keep the garbage collector busy.
var buffers = sync.Pool{New: func() any { return new([readSize]byte) }} //nolint:gochecknoglobals // a cache

// copyTo copies r to w and returns how many bytes that were.
func copyTo(w io.Writer, r io.Reader) (int64, error) {
	b, put := buffer()
	defer put()
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, b)
}

// buffer returns a buffer, and what gives it back.
func buffer() (b []byte, put func()) {
	p, ok := buffers.Get().(*[readSize]byte)
	if !ok {
		p = new([readSize]byte)
	}
	return p[:], func() { buffers.Put(p) }
}

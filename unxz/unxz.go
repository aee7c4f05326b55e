// Package unxz decompresses xz in bounded memory.
package unxz

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/mikelolasagasti/xz"
)

// maxDictionary is how many bytes of what was decompressed may have to be kept to decompress more. What needs more says
// so before the memory is taken (.xz file format 1.2.1, section 5.3.1). The most that the levels of xz(1) need is half
// of it.
const maxDictionary = 128 << 20

// ErrDictionary is the error of a stream that wants more memory than it gets.
var ErrDictionary = fmt.Errorf("the xz stream needs a dictionary of more than %d MiB: compress it again, with xz -9 at most", maxDictionary>>20)

// NewReader returns what r holds, decompressed: all streams of it, with whatever filters. It reads as far as the first
// byte, so that what cannot be decompressed at all is known at once.
func NewReader(r io.Reader) (io.Reader, error) {
	x, err := xz.NewReader(r, maxDictionary)
	if err != nil {
		return nil, explain(err)
	}
	b := bufio.NewReader(reader{x})
	if _, err := b.Peek(1); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

type reader struct {
	xz *xz.Reader
}

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	n, err := r.xz.Read(p)
	return n, explain(err)
}

func explain(err error) error {
	switch {
	case errors.Is(err, xz.ErrMemlimit):
		return ErrDictionary
	case errors.Is(err, xz.ErrBuf):
		return io.ErrUnexpectedEOF
	}
	return err
}

//go:build linux

package fetch

import (
	"bytes"
	"context"
	"io"
	"os"
)

// writeSparse copies size bytes of r to f, an empty file. Blocks of zeros become holes.
func writeSparse(ctx context.Context, f *os.File, r io.Reader, size int64) error {
	block := make([]byte, min(size, 64<<10))
	zeros := make([]byte, len(block))
	for at := int64(0); at < size; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b := block[:min(size-at, int64(len(block)))]
		if _, err := io.ReadFull(r, b); err != nil {
			return noEOF(err)
		}
		if !bytes.Equal(b, zeros[:len(b)]) {
			if _, err := f.WriteAt(b, at); err != nil {
				return err
			}
		}
		at += int64(len(b))
	}
	return f.Truncate(size)
}

// noEOF turns the end of a stream that should have gone on into an error that says so.
func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // as io itself compares it
		return io.ErrUnexpectedEOF
	}
	return err
}

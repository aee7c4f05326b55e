package exporter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool sets the content of files aside until it is known which of them are wanted, and where. It is a file
// without a name, so nothing is left of it whatever happens.
type spool struct {
	file *os.File
	size int64
}

// extent is where in a spool the content of a file is.
type extent struct{ offset, size int64 }

// newSpool makes a spool in a directory, which must have room for all content of the layers.
func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, ".builder-spool-")
	if err != nil {
		return nil, fmt.Errorf("setting content aside: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("setting content aside: %w", err), f.Close())
	}
	return &spool{file: f}, nil
}

// add appends size bytes of r. Blocks of zeros stay holes.
func (s *spool) add(r io.Reader, size int64) (extent, error) {
	e := extent{s.size, size}
	block := make([]byte, min(size, 64<<10))
	for left := size; left > 0; {
		n, err := io.ReadFull(r, block[:min(left, int64(len(block)))])
		if err != nil {
			return e, err
		}
		if !zeros(block[:n]) {
			if _, err := s.file.WriteAt(block[:n], s.size+size-left); err != nil {
				return e, fmt.Errorf("setting content aside: %w", err)
			}
		}
		left -= int64(n)
	}
	s.size += size
	return e, nil
}

// seal ends adding: a hole at the end becomes part of the file.
func (s *spool) seal() error { return s.file.Truncate(s.size) }

func zeros(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// copy writes content to w.
func (s *spool) copy(w io.Writer, e extent) error {
	if _, err := s.file.Seek(e.offset, io.SeekStart); err != nil {
		return err
	}
	_, err := io.CopyN(w, s.file, e.size)
	return err
}

func (s *spool) close() error { return s.file.Close() }

//go:build linux

package fetch

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"time"
)

// Newest returns the time of the file in a tar archive, compressed or not, that was modified last; nil if
// it has none. What is not a regular file does not count.
func Newest(r io.Reader) (*time.Time, error) {
	plain, err := decompress(r)
	if err != nil {
		return nil, fmt.Errorf("decompressing the archive: %w", err)
	}
	defer plain.Close()
	var newest *time.Time
	for t := tar.NewReader(plain); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return newest, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the archive: %w", err)
		}
		if h.FileInfo().Mode().IsRegular() && (newest == nil || h.ModTime.After(*newest)) {
			modified := h.ModTime.UTC()
			newest = &modified
		}
	}
}

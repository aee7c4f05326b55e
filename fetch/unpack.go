//go:build linux

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Unpack returns a directory with what an archive holds that was downloaded; ok is false if f is none (see
// [IsArchive]). It is unpacked as by [Archive], once for every content, and like the download must not be
// changed.
func (h *HTTP) Unpack(ctx context.Context, f File) (dir string, ok bool, err error) {
	r, err := os.Open(filepath.Join(f.Path, f.Name))
	if err != nil {
		return "", false, err
	}
	defer r.Close()
	beginning := make([]byte, PeekSize)
	n, err := io.ReadFull(r, beginning)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	if !IsArchive(beginning[:n]) {
		return "", false, nil
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", false, err
	}
	if dir, err = h.unpacked(ctx, f, r); err != nil {
		return "", false, fmt.Errorf("unpacking %s: %w", f.Name, err)
	}
	return dir, true, nil
}

// unpacked returns the unpacked archive in r, whose digest is that of f.
func (h *HTTP) unpacked(ctx context.Context, f File, r io.Reader) (string, error) {
	if err := h.shelf.open(h.Dir); err != nil {
		return "", err
	}
	e := entry{key: keyOf("unpacked", f.Digest), boot: bootID()}
	return h.shelf.made(ctx, e, func(d *draft) error { return Archive(ctx, r, d.tree()) })
}

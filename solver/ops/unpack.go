//go:build linux

package ops

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/seed-298d225e/builder/snapshot"
)

// unpack extracts m into the destination if it is a tar archive, compressed or not. What is in it goes
// through links of the tree it is extracted to, as with tar -x, but never out of the destination.
func (c *copier) unpack(m match) (g graft, ok bool, err error) {
	archive, err := openArchive(m.entry)
	if archive == nil || err != nil {
		return g, false, err
	}
	defer archive.Close()
	dest, err := snapshot.Resolve(c.base, c.op.Dest, true)
	if err != nil {
		return g, true, err
	}
	made, err := c.parents(dest)
	if err != nil {
		return g, true, err
	}
	dir, err := c.worker.Store.Extract(snapshot.ReadArchive(archive), snapshot.Sub(c.base, dest))
	if err != nil {
		return g, true, fmt.Errorf("extracting %s: %w", m.name, err)
	}
	p := placement{copier: c, dest: dest}
	return graft{snapshot.Chain(snapshot.Listed(made), p.extracted(snapshot.Walk(dir, "")))}, true, nil
}

// extracted streams the contents of an archive at the destination. They keep their modes; --chmod does not
// reach into archives.
func (p placement) extracted(entries snapshot.Entries) snapshot.Entries {
	return func(yield func(*snapshot.Entry, error) bool) {
		for e, err := range entries {
			if err == nil && e.Path == "" {
				continue // the destination keeps its own metadata
			}
			if err == nil {
				e = p.moved(e)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// openArchive opens the tar archive in e, nil if it is none.
func openArchive(e *snapshot.Entry) (io.ReadCloser, error) {
	for _, check := range []bool{true, false} {
		r, err := e.Open()
		if err != nil {
			return nil, err
		}
		plain, err := decompress(r)
		if err != nil {
			r.Close()
			return nil, nil //nolint:nilerr // not something we know
		}
		if !check {
			return &readCloser{plain, r}, nil
		}
		isTar := snapshot.IsTar(plain)
		r.Close()
		if !isTar {
			return nil, nil
		}
	}
	return nil, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

var errUnknownFormat = errors.New("unknown compression")

// decompress returns what r holds if that is compressed with gzip, bzip2, xz or zstd, and else r. The
// decompressors are part of the program: one of the image is never run.
func decompress(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	magic, err := b.Peek(6)
	if err != nil && len(magic) == 0 {
		return nil, errUnknownFormat
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(b)
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(b), nil
	case bytes.HasPrefix(magic, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return xz.NewReader(b)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return b, nil
}

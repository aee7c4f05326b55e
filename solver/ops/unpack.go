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
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/unxz"
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
	plain := *c
	plain.mode = mode{} // --chmod reaches neither what is in an archive nor where it is extracted to
	made, err := plain.parents(dest)
	if err != nil {
		return g, true, err
	}
	plain.owner = nil // --chown is for what the archive tells, and not for what it takes for granted
	below := snapshot.Sub(c.base, dest)
	dir, err := c.worker.Store.Extract(complete(c.owned(snapshot.ReadArchive(archive)), below, c.now), below)
	if err != nil {
		return g, true, fmt.Errorf("extracting %s: %w", m.name, err)
	}
	p := placement{copier: &plain, dest: dest}
	return graft{snapshot.Chain(snapshot.Listed(made), p.extracted(snapshot.Walk(dir, "")))}, true, nil
}

// owned gives the entries of an archive to the owner asked for.
func (c *copier) owned(entries snapshot.Entries) snapshot.Entries {
	if c.owner == nil {
		return entries
	}
	return func(yield func(*snapshot.Entry, error) bool) {
		for e, err := range entries {
			if err == nil {
				ours := *e
				ours.UID, ours.GID = c.owner.uid, c.owner.gid
				e = &ours
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// complete gives the entries of an archive and, before what is in them, the directories that neither the
// archive has told nor the tree below has. Those are as old as now. In one with the setgid bit they take that over.
func complete(entries snapshot.Entries, below snapshot.FS, now time.Time) snapshot.Entries {
	return func(yield func(*snapshot.Entry, error) bool) {
		told := map[string]uint32{"": setgid(below, "")}
		for e, err := range entries {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, dir := range untold(told, e.Path, below) {
				if !yield(&snapshot.Entry{Path: dir, Kind: snapshot.Directory, Mode: 0o755 | told[dir], ModTime: now}, nil) {
					return
				}
			}
			told[e.Path] = e.Mode & setgidBit
			if !yield(e, nil) {
				return
			}
		}
	}
}

// setgidBit is S_ISGID of a mode.
const setgidBit = 0o2000

// setgid returns the setgid bit of the directory called name, if it exists.
func setgid(fsys snapshot.FS, name string) uint32 {
	if e, err := lookUp(fsys, name); err == nil {
		return e.Mode & setgidBit
	}
	return 0
}

// lookUp returns what is at name, behind links.
func lookUp(fsys snapshot.FS, name string) (*snapshot.Entry, error) {
	at, err := snapshot.Resolve(fsys, name, true)
	if err != nil {
		return nil, err
	}
	return fsys.Lstat(at)
}

// untold returns the directories above name that are neither told nor below, the outermost first. All of them
// are told then, with the setgid bit that they have.
func untold(told map[string]uint32, name string, below snapshot.FS) (dirs []string) {
	dir := parentOf(name)
	if _, ok := told[dir]; ok {
		return nil
	}
	dirs = untold(told, dir, below)
	if _, err := lookUp(below, dir); !notFound(err) {
		told[dir] = setgid(below, dir)
		return dirs
	}
	told[dir] = told[parentOf(dir)]
	return append(dirs, dir)
}

// extracted streams the contents of an archive at the destination.
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
			if errors.Is(err, unxz.ErrDictionary) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
				return nil, fmt.Errorf("decompressing %s: %w", e.Path, err)
			}
			return nil, nil // not something we know
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
		return unxz.NewReader(b)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		plain := bufio.NewReader(z.IOReadCloser())
		if _, err := plain.Peek(1); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return plain, nil
	}
	return b, nil
}

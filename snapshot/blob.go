//go:build linux

package snapshot

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// packed is what is known of a layer that was packed: the file layers/ID.
type packed struct {
	// Content is the ID that the file is named by, DiffID the digest of the tar archive.
	Content v1.Hash `json:"content"`
	DiffID  v1.Hash `json:"diffID"`
	// Digest and Size are those of the compressed archive in blobs.
	Digest v1.Hash `json:"digest"`
	Size   int64   `json:"size"`
	Form   Form    `json:"form,omitempty"`
	// Created is when that was. It goes into images, which are to be the same when they come from the cache.
	Created time.Time `json:"created"`
}

func (s *Store) packedPath(content v1.Hash) string {
	return filepath.Join(s.path, "layers", content.Hex)
}

// packed returns what is known of the packed form of a layer, nil if nothing is or the blob is gone.
func (s *Store) packed(content v1.Hash) *packed {
	text, err := os.ReadFile(s.packedPath(content))
	if err != nil {
		return nil
	}
	var p packed
	if err := json.Unmarshal(text, &p); err != nil || p.Content != content {
		return nil
	}
	blob := s.BlobPath(p.Digest)
	if err := s.lease(blob); err != nil {
		return nil
	}
	info, err := os.Stat(blob)
	if err != nil || info.Size() != p.Size {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(blob, now, now) // when it was last used
	return &p
}

// pack writes a layer as a compressed tar archive into the store: one pass over the entries gives the
// content ID, the listing, the diff ID, the digest and the blob. If a layer with the same content was
// packed before, that is the result, so that the same content always ships as the same bytes.
func (s *Store) pack(entries Entries, form Form, list *listingWriter) (*packed, error) {
	tmp := s.temporary("blob")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp)
	defer f.Close()
	p, err := writeBlob(f, entries, form, list)
	if err != nil {
		return nil, err
	}
	if before := s.packed(p.Content); before != nil {
		return before, nil
	}
	if err := f.Chmod(0o400); err != nil {
		return nil, err
	}
	return p, s.keepPacked(tmp, p)
}

func (s *Store) keepPacked(tmp string, p *packed) error {
	blob := s.BlobPath(p.Digest)
	if err := s.lease(blob); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(blob), 0o700); err != nil {
		return err
	}
	if err := s.publish(tmp, blob); err != nil {
		return err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return writeFile(s.packedPath(p.Content), text)
}

// writeBlob packs a layer to w.
func writeBlob(w io.Writer, entries Entries, form Form, list *listingWriter) (*packed, error) {
	diff, digest := sha256.New(), sha256.New()
	size := &countingWriter{w: w}
	z := newGzipWriter(io.MultiWriter(digest, size))
	archive := bufio.NewWriterSize(io.MultiWriter(diff, z), 64<<10)
	err := WriteTar(archive, observed(entries, list.add), form)
	if err == nil {
		err = archive.Flush()
	}
	if closing := z.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	return &packed{
		Content: list.content.ID(), DiffID: sha256Hash(diff), Digest: sha256Hash(digest), Size: size.n, Form: form,
		Created: time.Now().UTC(),
	}, nil
}

// observed passes entries on and tells observe of each, with its Sum, once its content has been read.
func observed(entries Entries, observe func(*Entry) error) Entries {
	return func(yield func(*Entry, error) bool) {
		for e, err := range entries {
			if err != nil {
				yield(nil, err)
				return
			}
			read := summing(e)
			if !yield(read.entry, nil) {
				return
			}
			if e, err = read.summed(); err == nil {
				err = observe(e)
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// sumReader is an entry whose content is hashed while somebody reads it.
type sumReader struct {
	entry *Entry
	hash  hash.Hash
	n     int64
}

// summing returns e such that reading it gives its Sum, unless it is known or there is none.
func summing(e *Entry) *sumReader {
	if e.Kind != Regular || e.Sum != nil {
		return &sumReader{entry: e}
	}
	s := &sumReader{hash: sha256.New()}
	read := *e
	read.Open = func() (io.ReadCloser, error) {
		r, err := e.Open()
		if err != nil {
			return nil, err
		}
		return &teeReadCloser{io.TeeReader(r, s), r}, nil
	}
	s.entry = &read
	return s
}

// Write hashes what was read.
func (s *sumReader) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return s.hash.Write(p)
}

// summed returns the entry with its Sum, after it was read.
func (s *sumReader) summed() (*Entry, error) {
	if s.hash == nil {
		return s.entry, nil
	}
	if s.n != s.entry.Size {
		return nil, fmt.Errorf("%s changed while it was read: %d bytes instead of %d", s.entry.Path, s.n, s.entry.Size)
	}
	return s.entry.withSum(s.hash.Sum(nil)), nil
}

type teeReadCloser struct {
	io.Reader
	io.Closer
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func sha256Hash(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// Get returns a small blob, such as a manifest, whose bytes are checked. A miss is fs.ErrNotExist.
func (s *Store) Get(digest v1.Hash) ([]byte, error) {
	if digest.Algorithm != "sha256" || len(digest.Hex) != 2*sha256.Size {
		return nil, fs.ErrNotExist
	}
	blob := s.BlobPath(digest)
	if err := s.lease(blob); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(blob)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	if hex.EncodeToString(sum[:]) != digest.Hex {
		_ = os.Remove(s.BlobPath(digest))
		return nil, fs.ErrNotExist
	}
	return b, nil
}

// Put stores a small blob under its digest, which must be the right one.
func (s *Store) Put(digest v1.Hash, b []byte) error {
	blob := s.BlobPath(digest)
	if _, err := os.Stat(blob); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(blob), 0o700); err != nil {
		return err
	}
	tmp := s.temporary("blob")
	if err := os.WriteFile(tmp, b, 0o400); err != nil {
		return err
	}
	return s.publish(tmp, blob)
}

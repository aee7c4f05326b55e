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

	"github.com/seed-298d225e/builder/wholefile"
)

// packed is what is known of a layer that was packed. The file layers/ID tells it of the way it was packed first;
// if it is needed in another form too, that is made from the same archive, and told by layers/ID.COMPRESSION.
type packed struct {
	// Content is the ID that the file is named by.
	Content v1.Hash `json:"content"`
	// Tar is the digest of the tar archive as it was before it was compressed; DiffID is that of what comes out
	// when the blob is decompressed.
	Tar    v1.Hash `json:"tar"`
	DiffID v1.Hash `json:"diffID"`
	// Digest and Size are those of the blob in blobs.
	Digest      v1.Hash     `json:"digest"`
	Size        int64       `json:"size"`
	Form        Form        `json:"form,omitempty"`
	Compression Compression `json:"compression"`
	// Annotations are for the descriptor of the layer.
	Annotations map[string]string `json:"annotations,omitempty"`
	// Created is when the layer was packed first. It goes into images, which are to be the same when they come
	// from the cache.
	Created time.Time `json:"created"`
}

func (s *Store) packedPath(content v1.Hash) string {
	return filepath.Join(s.path, "layers", content.Hex)
}

// packed returns what is known of a layer as it was packed first, nil if nothing is or the blob is gone.
func (s *Store) packed(content v1.Hash) *packed {
	return s.readPacked(s.packedPath(content), content)
}

// repacked returns what is known of a layer as it was packed in another way from the same archive, nil if nothing
// is or the blob is gone.
func (s *Store) repacked(content, archive v1.Hash, c Compression) *packed {
	p := s.readPacked(s.packedPath(content)+"."+c.String(), content)
	if p == nil || p.Tar != archive || p.Compression != c {
		return nil
	}
	return p
}

func (s *Store) readPacked(name string, content v1.Hash) *packed {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	var p packed
	if err := json.Unmarshal(text, &p); err != nil || p.Content != content || p.Tar.Hex == "" {
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

// packing says how a layer is packed.
type packing struct {
	form        Form
	compression Compression
	// created is when that was done first, zero for now.
	created time.Time
	// exact: what is packed is the result, even if a layer with the same content was packed before.
	exact bool
}

// pack writes a layer as a compressed tar archive into the store: one pass over the entries gives the
// content ID, the listing, the diff ID, the digest and the blob. If a layer with the same content was
// packed before, that is the result, even if it is compressed in another way: the same content always ships
// as the same archive.
func (s *Store) pack(entries Entries, how packing, list *listingWriter) (*packed, error) {
	return s.writePacked(func(w io.Writer) (*packed, error) {
		p, err := writeBlob(w, entries, how.form, list, how.compression)
		if err != nil {
			return nil, err
		}
		if before := s.packed(p.Content); before != nil && !how.exact {
			return before, errPacked
		}
		if !how.created.IsZero() {
			p.Created = how.created
		}
		return p, nil
	}, s.packedPath)
}

// errPacked says that a layer has been packed before.
var errPacked = errors.New("it has been packed before")

// writePacked has write write a blob, and keeps it and what write returns, in the file that name says for a
// content ID. If write fails with errPacked what it returns is the result.
func (s *Store) writePacked(write func(io.Writer) (*packed, error), name func(v1.Hash) string) (*packed, error) {
	if s.lookOnly {
		return nil, fmt.Errorf("packing a layer: %w", fs.ErrNotExist)
	}
	tmp := s.temporary("blob")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(tmp) }() // once it is published it is not there
	defer f.Close()
	p, err := write(f)
	if errors.Is(err, errPacked) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o400); err != nil {
		return nil, err
	}
	return p, s.keepPacked(tmp, p, name(p.Content))
}

func (s *Store) keepPacked(tmp string, p *packed, name string) error {
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
	return wholefile.Write(name, 0o600, text)
}

// writeBlob packs a layer to w.
func writeBlob(w io.Writer, entries Entries, form Form, list *listingWriter, c Compression) (*packed, error) {
	z, err := newPacker(w, c)
	if err != nil {
		return nil, err
	}
	archive := bufio.NewWriterSize(z, 64<<10)
	err = WriteTar(archive, observed(entries, list.add), form)
	if err == nil {
		err = archive.Flush()
	}
	p, closing := z.end()
	if err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	p.Content, p.Form, p.Created = list.content.ID(), form, time.Now().UTC()
	return p, nil
}

// packer compresses a tar archive and finds out what there is to know about it.
type packer struct {
	io.Writer
	compressor   io.WriteCloser
	archive, out hash.Hash
	size         countingWriter
	compression  Compression
}

// newPacker returns a packer that writes to w. It must be ended even after an error.
func newPacker(w io.Writer, c Compression) (*packer, error) {
	p := &packer{archive: sha256.New(), out: sha256.New(), size: countingWriter{w: w}, compression: c}
	var err error
	p.compressor, err = c.newWriter(io.MultiWriter(p.out, &p.size))
	p.Writer = io.MultiWriter(p.archive, p.compressor)
	return p, err
}

// end closes the compressor and tells what it wrote, without what only the entries say.
func (p *packer) end() (*packed, error) {
	if err := p.compressor.Close(); err != nil {
		return nil, err
	}
	tar := sha256Hash(p.archive)
	result := &packed{Tar: tar, DiffID: tar, Digest: sha256Hash(p.out), Size: p.size.n, Compression: p.compression}
	if z, ok := p.compressor.(*stargzWriter); ok {
		return result, z.describe(result)
	}
	return result, nil
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

package registry

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-298d225e/builder/inflate"
)

// decompress finds out by its first bytes what r is compressed with. What is neither gzip nor zstd is
// taken as it is.
func decompress(r *bufio.Reader) (io.ReadCloser, error) {
	magic, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := inflate.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(z), nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}), skippable(magic):
		const window = 128 << 20
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(window), zstd.WithDecoderConcurrency(2))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}

// skippable reports whether a zstd frame without content begins here (RFC 8878, section 3.1.2), as one
// does in zstd:chunked layers.
func skippable(magic []byte) bool {
	return len(magic) == 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:], []byte{0x2a, 0x4d, 0x18})
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// archive is the uncompressed content of a layer, checked. It may be closed while it is read.
type archive struct {
	mu         sync.Mutex
	layer      *Layer
	blob       io.Closer
	compressed *counter
	plain      io.ReadCloser
	hash       hash.Hash
	n          int64
}

func (a *archive) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := a.plain.Read(p)
	a.hash.Write(p[:n])
	a.n += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		err = a.end()
	case err != nil:
		err = fmt.Errorf("decompressing %s: %w", a.layer.descriptor.Digest, err)
	case a.bomb():
		err = corruptf("%s unpacks to more than 1000 times its size", a.layer.descriptor.Digest)
	}
	return n, err
}

// bomb reports whether so much came out of so little that it cannot be meant well.
func (a *archive) bomb() bool {
	const suspicious, ratio = 8 << 30, 1000
	return a.n > suspicious && a.n/ratio > a.compressed.n
}

// end checks what can only be known at the end: the digest of the blob, which the stream checks when it has
// been read to its last byte, and the diff ID.
func (a *archive) end() error {
	if _, err := io.Copy(io.Discard, a.compressed); err != nil {
		return err
	}
	if err := verifySum(a.hash, a.layer.diffID); err != nil {
		return fmt.Errorf("the content of layer %s: %w", a.layer.descriptor.Digest, err)
	}
	return io.EOF
}

// Close implements io.Closer.
func (a *archive) Close() error {
	err := a.blob.Close() // first, because Read waits for the blob
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Join(err, a.plain.Close())
}

//go:build linux

package fetch

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seed-298d225e/builder/httpclient"
	"github.com/seed-298d225e/builder/unxz"
)

// compression is how a stream is compressed.
type compression int

const (
	uncompressed compression = iota
	gzipped
	bzipped
	xzipped
	zstandard
)

// PeekSize is how many bytes of a stream [IsArchive] wants to see.
const PeekSize = 1024

// IsArchive reports whether what begins like this is an archive: anything compressed, or a tar archive. What
// is sent to a build instead of a context is a Dockerfile otherwise.
func IsArchive(beginning []byte) bool {
	if detect(beginning) != uncompressed {
		return true
	}
	_, err := tar.NewReader(bytes.NewReader(beginning)).Next()
	return err == nil
}

// detect looks at the first bytes of a stream: RFC 1952 section 2.3.1, bzip2's "BZh", section 2.1.1.1 of the
// .xz file format, and RFC 8878 sections 3.1.1 and 3.1.2.
func detect(beginning []byte) compression {
	switch {
	case bytes.HasPrefix(beginning, []byte{0x1f, 0x8b, 8}):
		return gzipped
	case bytes.HasPrefix(beginning, []byte("BZh")):
		return bzipped
	case bytes.HasPrefix(beginning, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return xzipped
	case bytes.HasPrefix(beginning, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstandard
	case len(beginning) >= 8 && beginning[0]&0xf0 == 0x50 && bytes.Equal(beginning[1:4], []byte{0x2a, 0x4d, 0x18}):
		return zstandard // a skippable frame
	}
	return uncompressed
}

// decompress returns what r holds, decompressed. The decompressors are part of the program: none that stands
// somewhere on a PATH is run.
func decompress(r io.Reader) (io.ReadCloser, error) {
	counted := &counter{r: r}
	b := bufio.NewReaderSize(counted, 64<<10)
	beginning, err := b.Peek(8)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	how := detect(beginning)
	if how == uncompressed {
		return io.NopCloser(b), nil
	}
	plain, err := decompressor(b, how)
	if err != nil {
		return nil, err
	}
	return &expansion{ReadCloser: plain, compressed: counted}, nil
}

func decompressor(r io.Reader, how compression) (io.ReadCloser, error) {
	switch how {
	case gzipped:
		return gzip.NewReader(r)
	case bzipped:
		return io.NopCloser(bzip2.NewReader(r)), nil
	case xzipped:
		x, err := unxz.NewReader(r)
		return io.NopCloser(x), err
	case zstandard:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(256<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case uncompressed:
	}
	return io.NopCloser(r), nil
}

// counter counts what is read from r.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// A stream that expands more than this, and to more than that many bytes, was made to fill the disk.
const (
	mostExpansion = 1000
	muchExpanded  = 8 << 30
)

// expansion reads a decompressed stream until it turns out to be a bomb.
type expansion struct {
	io.ReadCloser
	compressed *counter
	n          int64
}

func (e *expansion) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.n += int64(n)
	if e.n > muchExpanded && e.n/mostExpansion > e.compressed.n {
		return 0, httpclient.Refusef("it expands to more than %d times its size", mostExpansion)
	}
	return n, err
}

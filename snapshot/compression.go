package snapshot

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// CompressionKind is a way to compress the tar archive of a layer.
type CompressionKind string

// The kinds of compression, by BuildKit's names.
const (
	Gzip CompressionKind = "gzip"
	Zstd CompressionKind = "zstd"
	// EStargz is gzip in members that can be read one by one, with a table of contents at the end (the
	// eStargz specification of the stargz-snapshotter project).
	EStargz      CompressionKind = "estargz"
	Uncompressed CompressionKind = "uncompressed"
)

// Compression is how the tar archive of a layer is compressed. The same archive and compression always give
// the same bytes.
type Compression struct {
	Kind CompressionKind
	// Level is the one of gzip, from 0 to 9, or of zstd, from 0 to 22, of which several give the same here. The
	// kind Uncompressed has none.
	Level int
}

// DefaultCompression is how layers are compressed if nobody says how.
func DefaultCompression() Compression { return Compression{Gzip, gzipLevel} }

// levels are the least, the default and the highest level of each kind.
func levels() map[CompressionKind][3]int {
	return map[CompressionKind][3]int{Gzip: {0, gzipLevel, 9}, EStargz: {0, gzipLevel, 9}, Zstd: {0, 3, 22}, Uncompressed: {}}
}

// ParseCompression reads a kind and a level. Each may be empty: that is gzip, and the default level of the kind.
func ParseCompression(kind, level string) (Compression, error) {
	c := DefaultCompression()
	if kind != "" {
		c.Kind = CompressionKind(kind)
	}
	known := levels()
	bounds, ok := known[c.Kind]
	if !ok {
		return c, fmt.Errorf("unknown compression %q: it is one of %s", kind, joined(slices.Sorted(maps.Keys(known))))
	}
	c.Level = bounds[1]
	if level == "" {
		return c, nil
	}
	if c.Kind == Uncompressed {
		return c, errors.New("without compression there is no level")
	}
	n, err := strconv.Atoi(level)
	if err != nil || n < bounds[0] || n > bounds[2] {
		return c, fmt.Errorf("the level %q is not one from %d to %d, as %s has them", level, bounds[0], bounds[2], c.Kind)
	}
	c.Level = n
	return c, nil
}

func joined(kinds []CompressionKind) string {
	texts := make([]string, len(kinds))
	for i, k := range kinds {
		texts[i] = string(k)
	}
	return strings.Join(texts, ", ")
}

// String names the compression, for file names and for people.
func (c Compression) String() string {
	if c.Kind == Uncompressed {
		return string(c.Kind)
	}
	return string(c.Kind) + "-" + strconv.Itoa(c.Level)
}

// mediaType is what a layer compressed so is called.
func (c Compression) mediaType() types.MediaType {
	switch c.Kind {
	case Zstd:
		return types.OCILayerZStd
	case Uncompressed:
		return types.OCIUncompressedLayer
	case Gzip, EStargz:
	}
	return types.OCILayer
}

// newWriter returns a writer that compresses to w. It must be closed even after an error.
func (c Compression) newWriter(w io.Writer) (io.WriteCloser, error) {
	switch c.Kind {
	case Zstd:
		return newZstdWriter(w, c.Level)
	case EStargz:
		return newStargzWriter(w, c.Level), nil
	case Uncompressed:
		return plainWriter{w}, nil
	case Gzip:
	}
	return newGzipWriter(w, c.Level), nil
}

// newZstdWriter returns an encoder whose bytes do not depend on the machine: it always has two goroutines.
func newZstdWriter(w io.Writer, level int) (*zstd.Encoder, error) {
	return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderConcurrency(2))
}

// plainWriter does not compress.
type plainWriter struct{ io.Writer }

// Close implements io.Closer.
func (plainWriter) Close() error { return nil }

// decompress returns the archive that is compressed so in r, and closes r with it.
func (c Compression) decompress(r io.ReadCloser) (io.ReadCloser, error) {
	switch c.Kind {
	case Zstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			r.Close()
			return nil, err
		}
		return &closingBoth{z.IOReadCloser(), r}, nil
	case Uncompressed:
		return r, nil
	case Gzip, EStargz:
	}
	return gunzip(r)
}

// closingBoth closes what it reads from and what that reads from.
type closingBoth struct {
	io.ReadCloser
	below io.Closer
}

// Close implements io.Closer.
func (c *closingBoth) Close() error { return errors.Join(c.ReadCloser.Close(), c.below.Close()) }

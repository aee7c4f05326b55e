package cache

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// blob is the blob of a document, in a cache that can only open it. It checks what it reads.
type blob struct {
	document Document
	ctx      func() context.Context
	open     func(ctx context.Context, offset int64) (io.ReadCloser, error)
}

// newBlob returns the layer of a document. open opens its blob at an offset; ctx bounds all reading.
func newBlob(ctx context.Context, d Document, open func(ctx context.Context, offset int64) (io.ReadCloser, error)) v1.Layer {
	return &blob{document: d, ctx: func() context.Context { return ctx }, open: open}
}

// Digest implements v1.Layer.
func (b *blob) Digest() (v1.Hash, error) { return b.document.Digest, nil }

// DiffID implements v1.Layer.
func (b *blob) DiffID() (v1.Hash, error) { return b.document.DiffID, nil }

// Size implements v1.Layer.
func (b *blob) Size() (int64, error) { return b.document.Size, nil }

// MediaType implements v1.Layer.
func (b *blob) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Compressed implements v1.Layer. The last bytes come only if the digest is right.
func (b *blob) Compressed() (io.ReadCloser, error) {
	source := &persistent{open: func(offset int64) (io.ReadCloser, error) { return b.open(b.ctx(), offset) }}
	return &verified{source: source, hash: sha256.New(), size: b.document.Size, want: b.document.Digest}, nil
}

// Uncompressed implements v1.Layer. The end of the archive comes only if the diff ID is right.
func (b *blob) Uncompressed() (io.ReadCloser, error) {
	packed, err := b.Compressed()
	if err != nil {
		return nil, err
	}
	plain, err := gzip.NewReader(packed)
	if err != nil {
		packed.Close()
		return nil, err
	}
	return &verified{source: &archive{plain, packed}, hash: sha256.New(), size: -1, want: b.document.DiffID}, nil
}

// archive closes what it is unpacked from.
type archive struct {
	*gzip.Reader
	packed io.Closer
}

// Close implements io.Closer.
func (a *archive) Close() error { return a.packed.Close() }

// verified passes on what it reads and ends with an error if that is not what it should have been. The last bytes of
// something of known size are only passed on if all are right.
type verified struct {
	source io.ReadCloser
	hash   hash.Hash
	// size is the length in bytes, negative if it is not known.
	size, n int64
	want    v1.Hash
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	if v.size >= 0 && v.n == v.size {
		return 0, io.EOF
	}
	n, err := v.source.Read(p)
	v.n += int64(n)
	v.hash.Write(p[:n])
	ended := errors.Is(err, io.EOF)
	switch {
	case v.size >= 0 && v.n > v.size, v.size >= 0 && ended && v.n < v.size:
		return 0, fmt.Errorf("%s does not have %d bytes", v.want, v.size)
	case v.n == v.size, v.size < 0 && ended:
		if got := hex.EncodeToString(v.hash.Sum(nil)); got != v.want.Hex {
			return 0, fmt.Errorf("what should be %s is sha256:%s", v.want, got)
		}
	}
	return n, err
}

// Close implements io.Closer.
func (v *verified) Close() error { return v.source.Close() }

// persistent reads on where a connection has broken off.
type persistent struct {
	open   func(offset int64) (io.ReadCloser, error)
	r      io.ReadCloser
	offset int64
	failed int
}

// persistence is how often a transfer that has not moved on is begun again.
const persistence = 3

// Read implements io.Reader.
func (s *persistent) Read(p []byte) (int, error) {
	for {
		n, err := s.readOnce(p)
		s.offset += int64(n)
		if n > 0 {
			s.failed = 0
		}
		if err == nil || errors.Is(err, io.EOF) {
			return n, err
		}
		_ = s.Close()
		if s.failed++; s.failed >= persistence {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (s *persistent) readOnce(p []byte) (n int, err error) {
	if s.r == nil {
		if s.r, err = s.open(s.offset); err != nil {
			return 0, err
		}
	}
	return s.r.Read(p)
}

// Close implements io.Closer.
func (s *persistent) Close() error {
	if s.r == nil {
		return nil
	}
	err := s.r.Close()
	s.r = nil
	return err
}

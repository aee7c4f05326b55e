package registry

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Layer is a layer in a registry. Naming it moves no bytes.
type Layer struct {
	repo       name.Repository
	descriptor v1.Descriptor
	diffID     v1.Hash
	open       func(offset int64) io.ReadCloser
}

// Layer returns the layer that d describes, in a repository. diffID is that of the image's config. ctx
// bounds everything that is read of it.
func (c *Client) Layer(ctx context.Context, repo name.Repository, d v1.Descriptor, diffID v1.Hash) *Layer {
	l := &Layer{repo: repo, descriptor: d, diffID: diffID}
	l.open = func(offset int64) io.ReadCloser { return c.stream(ctx, repo, d, offset) }
	return l
}

// Digest implements v1.Layer.
func (l *Layer) Digest() (v1.Hash, error) { return l.descriptor.Digest, nil }

// DiffID implements v1.Layer.
func (l *Layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Size implements v1.Layer.
func (l *Layer) Size() (int64, error) { return l.descriptor.Size, nil }

// MediaType implements v1.Layer.
func (l *Layer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }

// Descriptor returns the descriptor of the layer in its manifest.
func (l *Layer) Descriptor() (*v1.Descriptor, error) { return l.descriptor.DeepCopy(), nil }

// Repository says where the layer is, so that it can be mounted in another one of the same registry.
func (l *Layer) Repository() name.Repository { return l.repo }

// Compressed streams the blob. A connection that breaks is taken up where it broke. The last bytes come
// only if the digest of the whole is right; else the error is ErrCorrupt.
func (l *Layer) Compressed() (io.ReadCloser, error) { return l.open(0), nil }

// Uncompressed streams the tar archive in the blob, whatever it is compressed with. Its end comes only if
// the diff ID is right; else the error is ErrCorrupt.
func (l *Layer) Uncompressed() (io.ReadCloser, error) {
	const ahead = 1 << 20
	blob := l.open(0)
	compressed := &counter{r: blob}
	plain, err := decompress(bufio.NewReaderSize(compressed, ahead))
	if err != nil {
		blob.Close()
		return nil, fmt.Errorf("decompressing %s: %w", l.descriptor.Digest, err)
	}
	h, err := v1.Hasher(l.diffID.Algorithm)
	if err != nil {
		blob.Close()
		return nil, err
	}
	return &archive{layer: l, blob: blob, compressed: compressed, plain: plain, hash: h}, nil
}

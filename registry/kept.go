package registry

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// memory is a Blobs for the life of a process.
type memory struct {
	mu sync.Mutex
	m  map[v1.Hash][]byte
}

// Get implements Blobs.
func (b *memory) Get(digest v1.Hash) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if content, ok := b.m[digest]; ok {
		return content, nil
	}
	return nil, fs.ErrNotExist
}

// Put implements Blobs.
func (b *memory) Put(digest v1.Hash, content []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil {
		b.m = map[v1.Hash][]byte{}
	}
	b.m[digest] = bytes.Clone(content)
	return nil
}

// verify checks that content hashes to want.
func verify(content []byte, want v1.Hash) error {
	h, err := v1.Hasher(want.Algorithm)
	if err != nil {
		return err
	}
	h.Write(content)
	return verifySum(h, want)
}

// verifySum checks that what h has seen hashes to want.
func verifySum(h hash.Hash, want v1.Hash) error {
	if got := hex.EncodeToString(h.Sum(nil)); got != want.Hex {
		return corruptf("its digest is %s:%s and not %s", want.Algorithm, got, want)
	}
	return nil
}

// isImage checks that what m consists of is what an image consists of.
func isImage(m *v1.Manifest) error {
	if !m.Config.MediaType.IsConfig() {
		return fmt.Errorf("this is not an image: its config is a %s", oneLine(string(m.Config.MediaType)))
	}
	for i, d := range m.Layers {
		if !d.MediaType.IsLayer() {
			return fmt.Errorf("layer %d is a %s, which is not known here", i+1, oneLine(string(d.MediaType)))
		}
	}
	return nil
}

// imageConfig returns the config of m, which may have been fetched before.
func (c *Client) imageConfig(ctx context.Context, repo name.Repository, m *v1.Manifest) ([]byte, *v1.ConfigFile, error) {
	if err := isImage(m); err != nil {
		return nil, nil, err
	}
	raw, err := c.Content(ctx, repo, m.Config, maxConfig)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the config: %w", err)
	}
	parsed, err := parseConfig(raw, len(m.Layers))
	return raw, parsed, err
}

// Content returns a small blob whole, of at most limit bytes. It may have been fetched before.
func (c *Client) Content(ctx context.Context, repo name.Repository, d v1.Descriptor, limit int64) ([]byte, error) {
	if d.Size > limit {
		return nil, corruptf("%s is %d bytes long, more than the allowed %d", d.Digest, d.Size, limit)
	}
	if raw, err := c.config.Blobs.Get(d.Digest); err == nil && int64(len(raw)) == d.Size && verify(raw, d.Digest) == nil {
		return raw, nil
	}
	var raw []byte
	err := c.from(ctx, repo, func(e endpoint) (err error) {
		raw, err = e.content(ctx, d)
		if errors.Is(err, ErrCorrupt) {
			raw, err = e.content(ctx, d)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	_ = c.config.Blobs.Put(d.Digest, raw) // what is not kept is fetched again
	return raw, nil
}

func (e endpoint) content(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	r := request{method: http.MethodGet, url: e.url("blobs", d.Digest.String()), accept: []int{http.StatusOK}}
	_, raw, err := e.read(ctx, r, d.Size)
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) != d.Size {
		return nil, corruptf("%s is %d bytes long and not %d", d.Digest, len(raw), d.Size)
	}
	return raw, verify(raw, d.Digest)
}

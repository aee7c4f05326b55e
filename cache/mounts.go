//go:build linux

package cache

import (
	"context"
	"errors"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/solver"
)

// MountID is what the cache directory with a name is called in shared caches.
func MountID(name string) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hexSum([]byte("cache directory\n" + name))}
}

// Mount returns the content that a cache directory has in the first shared cache that has one, as an archive. A miss is
// fs.ErrNotExist.
func (t *Tiers) Mount(ctx context.Context, name string) (v1.Layer, error) {
	l, ok := first(t.From, func(s *Source) (v1.Layer, bool) {
		if s.Mounts == nil {
			return nil, false
		}
		var d Document
		t.ask(ctx, s, func(ctx context.Context) (err error) { d, err = s.Mounts.FindMount(ctx, MountID(name)); return err })
		if d.Digest.Hex == "" {
			return nil, false
		}
		return &lent{s.Remote.Blob(ctx, d), s.Name}, true
	})
	if !ok {
		return nil, fs.ErrNotExist
	}
	return l, nil
}

// SharesMounts reports whether there is a target for cache directories.
func (t *Tiers) SharesMounts() bool {
	for _, to := range t.To {
		if to.Mounts != nil {
			return true
		}
	}
	return false
}

// ShareMount shares the content of a cache directory, packed into a layer.
func (t *Tiers) ShareMount(ctx context.Context, name string, l v1.Layer) {
	for _, to := range t.To {
		if to.Mounts != nil && !to.failed() {
			to.fail(ctx, to.shareMount(ctx, MountID(name), l, t.Layers))
		}
	}
}

func (to *Target) shareMount(ctx context.Context, id v1.Hash, l v1.Layer, layers Layers) error {
	d, err := describe(solver.Record{Op: id, Layer: l}, layers)
	if err != nil {
		return err
	}
	d.Keys = []string{id.Hex}
	before, err := to.Mounts.FindMount(ctx, id)
	if err == nil && before.Digest == d.Digest {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return to.Mounts.ShareMount(ctx, d, l)
}

//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// PackCache packs the cache directory called name, as it is now, into a layer. Nobody who has it to himself has it
// meanwhile. One that was never used is fs.ErrNotExist.
func (s *Store) PackCache(ctx context.Context, name string) (*Layer, error) {
	never := errors.New("it is not made here")
	c, err := s.openCache(ctx, s.cachePath(name), name, Shared, func(*os.File) error { return never })
	if err != nil {
		return nil, fmt.Errorf("packing a cache directory: %w", err)
	}
	defer c.Close()
	l := s.NewLayer(ctx, WithLinks(Walk(NewDir(c.Dir), "")), Unix)
	if _, err := l.Digest(); err != nil {
		return nil, fmt.Errorf("packing a cache directory: %w", err)
	}
	return l, nil
}

// UnpackCache writes a cache directory that another store has packed into an empty one.
func (s *Store) UnpackCache(ctx context.Context, dir *os.File, l v1.Layer) error {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := s.WriteTree(dir, cancellable(ctx, ReadArchive(r))); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r) // its end belongs to the digest that is being checked
	return err
}

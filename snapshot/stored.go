//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/inflate"
)

// Stored returns the layer with a content ID that an earlier build has kept. A miss is fs.ErrNotExist.
func (s *Store) Stored(ctx context.Context, content v1.Hash) (*Layer, error) {
	known := s.packed(content)
	dir, tree, err := s.openTree(content)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if known == nil && dir == nil {
		return nil, fs.ErrNotExist
	}
	form := tree.Form
	if known != nil {
		form = known.Form
	}
	l := &Layer{
		form:    form,
		content: func() (v1.Hash, error) { return content, nil },
		store:   s,
		keep:    func() error { return nil },
	}
	l.pack = first(func(c Compression) (*packed, error) {
		if known != nil {
			return known, nil
		}
		return s.packTree(ctx, content, NewDir(dir), packing{form: form, compression: c, created: tree.Created})
	})
	if known == nil {
		l.entries = s.treeEntries(ctx, content, NewDir(dir))
	}
	l.dir = sync.OnceValues(func() (*os.File, error) {
		if dir != nil {
			return dir, nil
		}
		return s.unpackTree(ctx, l.Uncompressed, treeRecord{ID: content.Hex, Form: form})
	})
	l.fs = sync.OnceValues(func() (FS, error) { return openFS(l.dir) })
	return l, nil
}

// packTree packs a tree of the store.
func (s *Store) packTree(ctx context.Context, content v1.Hash, dir Dir, how packing) (*packed, error) {
	list := newListingWriter(io.Discard, how.form)
	p, err := s.pack(s.treeEntries(ctx, content, dir), how, list)
	if err != nil {
		return nil, fmt.Errorf("packing a layer: %w", err)
	}
	if p.Content != content {
		return nil, fmt.Errorf("packing a layer: the tree %s in the store was changed", content.Hex)
	}
	return p, nil
}

// treeEntries streams a tree of the store.
func (s *Store) treeEntries(ctx context.Context, content v1.Hash, dir Dir) Entries {
	return func(yield func(*Entry, error) bool) {
		f, err := os.Open(filepath.Join(s.treePath(content), "listing"))
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		cancellable(ctx, withContent(readListing(f), dir))(yield)
	}
}

// gunzip decompresses r and closes it with what it returns.
func gunzip(r io.ReadCloser) (io.ReadCloser, error) {
	z, err := inflate.NewReader(r)
	if err != nil {
		r.Close()
		return nil, err
	}
	return &teeReadCloser{z, r}, nil
}

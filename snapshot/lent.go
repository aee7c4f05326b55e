//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Lent says what a layer made by another store is.
type Lent struct {
	// Blob is its packed form, somewhere else. It checks its own digest and diff ID.
	Blob v1.Layer
	// Content is the content ID that it is said to have.
	Content v1.Hash
	Form    Form
	// Created is when it was packed.
	Created time.Time
}

// ErrContent is the cause of an error that says that a lent layer does not hold what it was said to.
var ErrContent = errors.New("the layer does not hold what it was said to hold")

// Lend returns a layer of another store, or that of this one that has the same content. Nothing is moved before
// a form of it is needed, and it is in this store only after it was unpacked and found to hold what it should.
func (s *Store) Lend(ctx context.Context, lent Lent) (*Layer, error) {
	stored, err := s.Stored(ctx, lent.Content)
	if !errors.Is(err, fs.ErrNotExist) {
		return stored, err
	}
	l := &Layer{
		form: lent.Form, blob: lent.Blob, created: lent.Created,
		content: func() (v1.Hash, error) { return lent.Content, nil },
		dir:     sync.OnceValues(func() (*os.File, error) { return s.openLent(ctx, lent) }),
	}
	l.fs = sync.OnceValues(func() (FS, error) { return openFS(l.dir) })
	l.keep = func() error {
		_, err := os.Lstat(s.treePath(lent.Content))
		return err
	}
	return l, nil
}

// openLent unpacks a lent layer, unless another process does so now.
func (s *Store) openLent(ctx context.Context, lent Lent) (*os.File, error) {
	unlock, err := s.lockName(ctx, "tree-"+lent.Content.Hex)
	if err != nil {
		return nil, err
	}
	defer unlock()
	dir, _, err := s.openTree(lent.Content)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	return s.unpackTree(ctx, lent.Blob.Uncompressed, treeRecord{ID: lent.Content.Hex, Form: lent.Form, Created: lent.Created})
}

// unpackTree unpacks a layer of ours, and gives it the name in tree if that is what it holds.
func (s *Store) unpackTree(ctx context.Context, open func() (io.ReadCloser, error), tree treeRecord) (*os.File, error) {
	var r io.ReadCloser
	entries := func(yield func(*Entry, error) bool) { // opened anew for every try
		if r != nil {
			r.Close()
		}
		var err error
		if r, err = open(); err != nil {
			yield(nil, err)
			return
		}
		for e, err := range ReadTar(r, tree.Form) {
			if !yield(e, err) {
				return
			}
		}
		if err := readTail(r); err != nil {
			yield(nil, err)
		}
	}
	defer func() {
		if r != nil {
			r.Close()
		}
	}()
	m := &made{Layer: Layer{form: tree.Form}, store: s, entries: cancellable(ctx, entries), tree: s.temporary("tree")}
	u, err := m.unpack()
	if err != nil {
		return nil, err
	}
	if u.content.Hex != tree.ID {
		return nil, fmt.Errorf("unpacking a layer: it has the content %s instead of %s: %w", u.content.Hex, tree.ID, ErrContent)
	}
	tree.Size = m.size
	return u.dir, s.publishTree(m.tree, m.listing, tree)
}

//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// indexLimit is the number of entries up to which a layer is read from memory rather than unpacked.
const indexLimit = 20000

// made is a layer that a step of this process made: a stream of entries, perhaps with the directory in
// which they were found. Whoever reads the entries first, to pack, unpack or only hash them, writes
// the listing on the way.
type made struct {
	Layer
	store   *Store
	entries Entries
	// tree is, or will be, the directory that holds fs.
	tree      string
	unpacked  func() (unpackedTree, error)
	unpacking atomic.Bool
	hashed    func() (v1.Hash, error)
	// exact: see Layer.Anew.
	exact atomic.Bool

	mu sync.Mutex
	// listing is the file that holds the listing, once the entries have been read.
	listing string
	// size adds up the sizes of the files.
	size int64
	kept bool
}

// unpackedTree is a layer in a directory.
type unpackedTree struct {
	dir *os.File
	// content is its content ID, zero if the entries were not read on the way.
	content v1.Hash
}

// NewLayer returns the layer that consists of entries. They are read when it is first needed.
func (s *Store) NewLayer(ctx context.Context, entries Entries, form Form) *Layer {
	m := &made{Layer: Layer{form: form}, store: s, entries: cancellable(ctx, entries), tree: s.temporary("tree")}
	return m.layer(m.unpack)
}

// newUpper returns the layer that consists of entries, which were found in dir, the directory tree/fs.
func (s *Store) newUpper(ctx context.Context, tree string, dir *os.File, entries Entries, form Form) *Layer {
	m := &made{Layer: Layer{form: form}, store: s, entries: cancellable(ctx, entries), tree: tree}
	m.unpacking.Store(true)
	return m.layer(func() (unpackedTree, error) { return unpackedTree{dir: dir}, nil })
}

func (m *made) layer(unpack func() (unpackedTree, error)) *Layer {
	m.unpacked = sync.OnceValues(unpack)
	m.hashed = sync.OnceValues(m.hash)
	m.content = m.contentID
	m.dir = func() (*os.File, error) {
		m.unpacking.Store(true)
		u, err := m.unpacked()
		return u.dir, err
	}
	m.pack = first(m.packOnce)
	m.Layer.store, m.Layer.entries = m.store, m.entries
	m.fs = sync.OnceValues(m.read)
	m.keep = m.keepOnce
	m.anew = func() { m.exact.Store(true) }
	m.pending = func() bool { return m.packing.Load() == nil && !m.unpacking.Load() }
	return &m.Layer
}

// first returns a function that does f once and always returns what that gave, whatever it is asked for later.
func first[A, R any](f func(A) (R, error)) func(A) (R, error) {
	var once sync.Once
	var result R
	var err error
	return func(a A) (R, error) {
		once.Do(func() { result, err = f(a) })
		return result, err
	}
}

// cancellable stops a stream when ctx is done.
func cancellable(ctx context.Context, entries Entries) Entries {
	return func(yield func(*Entry, error) bool) {
		for e, err := range entries {
			if ctx.Err() != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// contentID takes the ID from who reads the entries anyway.
func (m *made) contentID() (v1.Hash, error) {
	if c := m.packing.Load(); c != nil {
		p, err := m.pack(*c)
		if err != nil {
			return v1.Hash{}, err
		}
		return p.Content, nil
	}
	if m.unpacking.Load() {
		u, err := m.unpacked()
		if err != nil || u.content.Hex != "" {
			return u.content, err
		}
	}
	return m.hashed()
}

func (m *made) packOnce(c Compression) (*packed, error) {
	var p *packed
	m.store.packing <- struct{}{}
	defer func() { <-m.store.packing }()
	defer m.store.span("pack " + filepath.Base(m.tree))()
	err := m.store.withSpace(func() error {
		return m.withListing(func(list *listingWriter) (err error) {
			p, err = m.store.pack(m.entries, packing{form: m.form, compression: c, exact: m.exact.Load()}, list)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("packing a layer: %w", err)
	}
	return p, nil
}

// hash reads the entries for the content ID alone.
func (m *made) hash() (id v1.Hash, err error) {
	defer m.store.span("hash " + filepath.Base(m.tree))()
	err = m.withListing(func(list *listingWriter) error {
		for e, err := range m.entries {
			if err == nil {
				e, err = Summed(e)
			}
			if err == nil {
				err = list.add(e)
			}
			if err != nil {
				return fmt.Errorf("hashing a layer: %w", err)
			}
		}
		id = list.content.ID()
		return nil
	})
	return id, err
}

// unpack writes the layer into a directory.
func (m *made) unpack() (u unpackedTree, err error) {
	defer m.store.span("write " + filepath.Base(m.tree))()
	err = m.store.withSpace(func() error {
		u, err = m.unpackOnce()
		return err
	})
	return u, err
}

func (m *made) unpackOnce() (u unpackedTree, err error) {
	if err := os.RemoveAll(m.tree); err != nil { // what an attempt has left
		return u, err
	}
	if u.dir, err = makeTree(m.tree); err != nil {
		return u, err
	}
	err = m.withListing(func(list *listingWriter) error {
		l, err := writeDir(u.dir, m.store.owners, m.entries, list.add)
		if err == nil && l.implicit[""] {
			err = markImplicit(u.dir)
		}
		u.content = list.content.ID()
		return err
	})
	if err != nil {
		return u, fmt.Errorf("writing a layer: %w", err)
	}
	return u, nil
}

// makeTree makes the directory tree with fs in it and opens fs.
func makeTree(tree string) (*os.File, error) {
	if err := os.Mkdir(tree, 0o700); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(tree, "fs"), 0o755); err != nil {
		return nil, err
	}
	return openDir(filepath.Join(tree, "fs"))
}

func openDir(name string) (*os.File, error) {
	return os.OpenFile(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// withListing gives read a listing to write, and remembers it.
func (m *made) withListing(read func(*listingWriter) error) error {
	name := m.store.temporary("listing")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	list := newListingWriter(f, m.form)
	if err := read(list); err != nil {
		return err
	}
	if err := list.w.Flush(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listing, m.size = name, list.size
	return nil
}

// read returns the layer for reading.
func (m *made) read() (FS, error) {
	if !m.unpacking.Load() {
		x, err := newIndex(m.entries, indexLimit)
		if x != nil || err != nil {
			return x, err
		}
	}
	return openFS(m.dir)
}

// keepOnce gives the directory its final name. A packed layer has it already; one that is in neither form
// was not worth it.
func (m *made) keepOnce() error {
	id, err := m.contentID()
	if err != nil {
		return err
	}
	unpacking := m.unpacking.Load()
	if unpacking { // perhaps the ID came from packing it, and the directory is not complete yet
		if _, err := m.unpacked(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.kept:
		return nil
	case unpacking:
		m.kept = true
		return m.store.publishTree(m.tree, m.listing, treeRecord{ID: id.Hex, Form: m.form, Size: m.size})
	case m.packing.Load() != nil:
		return nil
	}
	return fs.ErrNotExist
}

// Extract writes the entries of an archive into a directory of this process, as if it were extracted on
// top of the tree below, and returns what it wrote.
func (s *Store) Extract(entries Entries, below FS) (FS, error) {
	dir, err := makeTree(s.temporary("tree"))
	if err != nil {
		return nil, err
	}
	l, err := writeDir(dir, s.owners, entries, nil)
	if err != nil {
		return nil, err
	}
	settler := &settler{root: dir, below: below, owners: s.owners}
	if err := settler.settle(l); err != nil {
		return nil, err
	}
	return treeDir(dir)
}

// Keep returns the layer that consists of entries and sees to it that it is in the store: one that is
// there already is not written again.
func (s *Store) Keep(ctx context.Context, entries Entries) (*Layer, error) {
	l := s.NewLayer(ctx, entries, Unix)
	id, err := l.ContentID()
	if err != nil {
		return nil, err
	}
	if stored, err := s.Stored(ctx, id); !errors.Is(err, fs.ErrNotExist) {
		return stored, err
	}
	if _, err := l.dir(); err != nil {
		return nil, err
	}
	return l, l.Keep()
}

//go:build linux

package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// unpackLimit is how many layers of an image are unpacked at once.
const unpackLimit = 4

// Image returns the layers of an image, lowest first, as layers of this store. Nothing is moved before a
// directory of one is needed; then all that are needed are unpacked side by side, straight off the wire.
func (s *Store) Image(ctx context.Context, blobs []v1.Layer, form Form) ([]*Layer, error) {
	layers := make([]*Layer, len(blobs))
	slots := make(chan struct{}, unpackLimit)
	var chain v1.Hash
	for i, b := range blobs {
		diffID, err := b.DiffID()
		if err != nil {
			return nil, err
		}
		chain = chainID(chain, diffID)
		l := &imageLayer{store: s, form: form, blob: b, chain: chain, below: layers[:i:i], slots: slots}
		layers[i] = l.layer(ctx, diffID)
	}
	return layers, nil
}

// chainID names the tree of a layer upon others, as the OCI image specification does (config.md).
func chainID(below, diffID v1.Hash) v1.Hash {
	if below.Hex == "" {
		return diffID
	}
	h := sha256.New()
	_, _ = io.WriteString(h, below.String()+" "+diffID.String())
	return sha256Hash(h)
}

// imageLayer is a layer of an image that exists elsewhere.
type imageLayer struct {
	store *Store
	form  Form
	blob  v1.Layer
	// chain names the tree of this layer upon those below it, by which it is kept unpacked: what a layer
	// means may depend on what is below (see settle).
	chain v1.Hash
	below []*Layer
	slots chan struct{}
}

func (i *imageLayer) layer(ctx context.Context, diffID v1.Hash) *Layer {
	l := &Layer{
		form:    i.form,
		content: func() (v1.Hash, error) { return diffID, nil },
		blob:    i.blob,
		keep:    func() error { return nil },
		dir:     sync.OnceValues(func() (*os.File, error) { return i.open(ctx) }),
	}
	l.fs = sync.OnceValues(func() (FS, error) { return openFS(l.dir) })
	l.measured = i.measured
	return l
}

// measured returns what the files of the layer add up to, if it is unpacked.
func (i *imageLayer) measured() (int64, bool) {
	dir, record, err := i.store.openTree(i.chain)
	if err != nil {
		return 0, false
	}
	dir.Close()
	return record.Size, true
}

// open returns the unpacked layer, unpacking it unless that was done before or is being done by another
// process.
func (i *imageLayer) open(ctx context.Context) (*os.File, error) {
	dir, _, err := i.store.openTree(i.chain)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	unlock, err := i.store.lockName(ctx, "tree-"+i.chain.Hex)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if dir, _, err = i.store.openTree(i.chain); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	err = i.store.withSpace(func() error {
		dir, err = i.unpack(ctx)
		return err
	})
	if err != nil {
		digest, _ := i.blob.Digest()
		return nil, fmt.Errorf("unpacking layer %d, %s: %w", len(i.below)+1, digest, err)
	}
	return dir, nil
}

// unpack unpacks the layer by itself, and then settles it on those below.
func (i *imageLayer) unpack(ctx context.Context) (dir *os.File, err error) {
	tree := i.store.temporary("tree")
	defer func() {
		if err != nil { // if the disk was full, another attempt needs the room
			_ = os.RemoveAll(tree)
		}
	}()
	if dir, err = makeTree(tree); err != nil {
		return nil, err
	}
	noted, err := newInventory(tree)
	if err != nil {
		return nil, err
	}
	defer noted.file.Close()
	loose, err := i.write(ctx, dir, noted)
	if err != nil {
		return nil, err
	}
	below, err := viewOf(i.below)
	if err != nil {
		return nil, err
	}
	s := &settler{root: dir, below: below, owners: i.store.owners, inventory: noted}
	if err := s.settle(loose); err != nil {
		return nil, err
	}
	if err := noted.finish(dir); err != nil {
		return nil, err
	}
	return dir, i.store.publishTree(tree, "", treeRecord{ID: i.chain.Hex, Form: i.form, Size: loose.size})
}

func (i *imageLayer) write(ctx context.Context, dir *os.File, noted *inventory) (loose, error) {
	select {
	case i.slots <- struct{}{}:
		defer func() { <-i.slots }()
	case <-ctx.Done():
		return loose{}, context.Cause(ctx)
	}
	defer i.store.span("unpack " + i.chain.Hex[:12])()
	archive, err := i.blob.Uncompressed()
	if err != nil {
		return loose{}, err
	}
	r := readAhead(archive)
	defer func() { _ = r.Close() }() // what is wrong with it was told when it was read
	l, err := writeNoted(dir, i.store.owners, cancellable(ctx, ReadTar(r, i.form)), noted)
	if err != nil {
		return loose{}, err
	}
	return l, readTail(r)
}

// View returns the tree that layers make, lowest first.
func (s *Store) View(layers []*Layer) (*View, error) { return viewOf(layers) }

func viewOf(layers []*Layer) (*View, error) {
	trees := make([]FS, len(layers))
	var g errgroup.Group
	for i, l := range layers {
		g.Go(func() (err error) { trees[i], err = l.fs(); return err })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return NewView(trees...), nil
}

//go:build linux

package main

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/snapshot"
)

// outputCompression is how an output wants layers: compression, compression-level and force-compression.
type outputCompression struct {
	kind, level string
	// force compresses the layers of base images anew too.
	force bool
	// way is what kind and level mean, nil if nobody said anything.
	way *snapshot.Compression
}

// check finds out what was said.
func (c *outputCompression) check() error {
	if c.kind == "" && c.level == "" && !c.force {
		return nil
	}
	way, err := snapshot.ParseCompression(c.kind, c.level)
	c.way = &way
	return err
}

// pack returns a layer as the output wants it. Layers of base images stay as they are, unless that is forced.
func (c *outputCompression) pack(store *snapshot.Store, l v1.Layer) (v1.Layer, error) {
	ours, ok := l.(*snapshot.Layer)
	made := ok && ours.Unwrap() == nil
	if c.way == nil || !made && !c.force {
		return l, nil
	}
	return store.Pack(l, *c.way)
}

// packAll is pack for all layers of a tree.
func (c *outputCompression) packAll(store *snapshot.Store, layers []v1.Layer) ([]v1.Layer, error) {
	packed := make([]v1.Layer, len(layers))
	for i, l := range layers {
		var err error
		if packed[i], err = c.pack(store, l); err != nil {
			return nil, err
		}
	}
	return packed, nil
}

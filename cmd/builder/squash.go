//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// squashAll makes one layer of those that were added to the base of every image: --squash.
func (b *build) squashAll(ctx context.Context, trees []solver.Tree) error {
	for i, image := range b.images {
		base := 0
		if image.Base != nil {
			base = len(image.Base.Image.DiffIDs)
		}
		made := trees[i].Layers[base:]
		if len(made) < 2 {
			continue
		}
		layers := make([]*snapshot.Layer, len(made))
		for n, l := range made {
			var ok bool
			if layers[n], ok = l.(*snapshot.Layer); !ok {
				return fmt.Errorf("layer %d is not in the store", base+n+1)
			}
		}
		squashed, err := b.store.Squash(ctx, layers)
		if err != nil {
			return err
		}
		trees[i].Layers = append(slices.Clip(trees[i].Layers[:base]), squashed)
		squashHistory(image, len(made))
	}
	return nil
}

// squashHistory says of the entries above those of the base that they made no layer, and adds one that did.
func squashHistory(image *frontend.Image, layers int) {
	history := slices.Clone(image.Config.History)
	base := 0
	if image.Base != nil {
		base = len(image.Base.Config.History)
	}
	for i := base; i < len(history); i++ {
		history[i].EmptyLayer = true
	}
	image.Config.History = append(history, ocispec.History{Comment: fmt.Sprintf("%d layers squashed into one", layers)})
}

package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image is an image in a registry or in a layout. Everything about it is known but the bytes of its layers.
type Image struct {
	// Ref is the full name with the digest of the manifest; in a layout there are no names.
	Ref name.Digest
	// Named is what the name itself stood for: an index, or the manifest.
	Named    v1.Descriptor
	Manifest *Manifest
	// RawConfig are the bytes of the config. Config is the part of it that go-containerregistry knows.
	RawConfig []byte
	Config    *v1.ConfigFile

	layer func(ctx context.Context, d v1.Descriptor, diffID v1.Hash) *Layer
}

// Layers returns the layers of i, lowest first. ctx bounds everything that is read of them.
func (i *Image) Layers(ctx context.Context) []v1.Layer {
	layers := make([]v1.Layer, len(i.Manifest.Image.Layers))
	for n, d := range i.Manifest.Image.Layers {
		layers[n] = i.layer(ctx, d, i.Config.RootFS.DiffIDs[n])
	}
	return layers
}

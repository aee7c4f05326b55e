package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image is an image in a registry. Everything about it is known but the bytes of its layers.
type Image struct {
	// Ref is the full name with the digest of the manifest.
	Ref name.Digest
	// Named is what the name itself stood for: an index, or the manifest.
	Named    v1.Descriptor
	Manifest *Manifest
	// RawConfig are the bytes of the config. Config is the part of it that go-containerregistry knows.
	RawConfig []byte
	Config    *v1.ConfigFile

	client *Client
}

// Layers returns the layers of i, lowest first. ctx bounds everything that is read of them.
func (i *Image) Layers(ctx context.Context) []v1.Layer {
	layers := make([]v1.Layer, len(i.Manifest.Image.Layers))
	for n, d := range i.Manifest.Image.Layers {
		layers[n] = i.client.Layer(ctx, i.Ref.Context(), d, i.Config.RootFS.DiffIDs[n])
	}
	return layers
}

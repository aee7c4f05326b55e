package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/registry"
)

// InlineField is the field of an image's config that holds the documents of its own layers.
const InlineField = "io.github.seed-298d225e.builder.cache"

// maxInline is how many documents are read of one config.
const maxInline = 1000

// Inline collects the documents of the layers of a result, which its image then carries. It is written to as a
// shared cache and has no place of its own.
type Inline struct {
	mu        sync.Mutex
	documents []Document
}

// Has implements Writer.
func (i *Inline) Has(context.Context, v1.Hash) (bool, error) { return false, nil }

// Share implements Writer.
func (i *Inline) Share(_ context.Context, d Document, _ v1.Layer) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.documents = append(i.documents, d)
	return nil
}

// Field returns the documents of layers that an image has, in the order of the layers, for its config.
func (i *Inline) Field(layers []v1.Layer) (json.RawMessage, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	place := map[v1.Hash]int{}
	for n, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		place[digest] = n
	}
	found := []Document{}
	for _, d := range i.documents {
		if _, ok := place[d.Digest]; ok {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b Document) int {
		if a.Digest != b.Digest {
			return place[a.Digest] - place[b.Digest]
		}
		return strings.Compare(a.Keys[0], b.Keys[0])
	})
	return json.Marshal(found)
}

// Image is the cache that an image carries. It is only read.
type Image struct {
	images func() ([]*registry.Image, error)
}

// NewImage returns the cache of an image, or of several of one name for different platforms. load finds them; it
// is called once. What does not exist is fs.ErrNotExist.
func NewImage(load func() ([]*registry.Image, error)) *Image {
	return &Image{images: sync.OnceValues(load)}
}

// Known implements Remote.
func (i *Image) Known(_ context.Context, op v1.Hash) (bool, error) {
	_, _, err := i.search(func(d Document) bool { return d.Op == op.Hex })
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Find implements Remote.
func (i *Image) Find(_ context.Context, key v1.Hash) (Document, error) {
	d, _, err := i.search(func(d Document) bool { return slices.Contains(d.Keys, key.Hex) })
	if err != nil {
		return d, err
	}
	if err := d.check(key); err != nil {
		return Document{}, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return d, nil
}

// Blob implements Remote.
func (i *Image) Blob(ctx context.Context, d Document) v1.Layer {
	_, image, err := i.search(func(other Document) bool { return other.Digest == d.Digest })
	if err != nil {
		return nil
	}
	for n, l := range image.Manifest.Image.Layers {
		if l.Digest == d.Digest {
			return image.Layers(ctx)[n]
		}
	}
	return nil
}

// search returns the first document that fits, with the image that carries it and has its layer.
func (i *Image) search(fits func(Document) bool) (Document, *registry.Image, error) {
	images, err := i.images()
	if err != nil {
		return Document{}, nil, err
	}
	for _, image := range images {
		for _, d := range carried(image) {
			if fits(d) && slices.ContainsFunc(image.Manifest.Image.Layers, d.is) {
				return d, image, nil
			}
		}
	}
	return Document{}, nil, fs.ErrNotExist
}

// is reports whether a layer of an image is that of the document.
func (d *Document) is(l v1.Descriptor) bool {
	return l.Digest == d.Digest && l.Size == d.Size && isPacked(l.MediaType)
}

// carried returns the documents in the config of an image. A config without any, or with what cannot be read, has none.
func carried(image *registry.Image) []Document {
	var config map[string]json.RawMessage
	var documents []Document
	if err := json.Unmarshal(image.RawConfig, &config); err != nil {
		return nil
	}
	if err := json.Unmarshal(config[InlineField], &documents); err != nil || len(documents) > maxInline {
		return nil
	}
	return documents
}

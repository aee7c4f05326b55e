package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/registry"
)

// Registry is a shared cache in a repository of a registry. There is a tag for each key, and one for each
// operation, so that any number of writers can add to it:
//
//	PREFIX-KEY      an image of one layer, the result; the document is an annotation of the manifest
//	PREFIX-op-OP    some image with a result of the operation
//	PREFIX-mount-ID an image of one layer, the content of a cache directory
type Registry struct {
	client *registry.Client
	repo   name.Repository
	prefix string
	pusher func() (*registry.Pusher, error)
}

// documentAnnotation is the annotation of a manifest that holds the document.
const documentAnnotation = "io.github.seed-298d225e.builder.cache.document"

// DefaultPrefix is what tags begin with if nothing else is wanted.
const DefaultPrefix = "buildcache"

// maxPrefix is how long a prefix may be: a tag has at most 128 characters, 64 of them the key.
const maxPrefix = 128 - 64 - len("-mount-")

// NewRegistry returns the cache that ref names: the repository, and as its tag the prefix of all tags.
func NewRegistry(client *registry.Client, ref string) (*Registry, error) {
	tag, err := name.NewTag(ref, name.WithDefaultTag(DefaultPrefix))
	if err != nil {
		return nil, err
	}
	if len(tag.TagStr()) > maxPrefix {
		return nil, fmt.Errorf("the tag %s is longer than %d characters; it is the first part of all tags of the cache", tag.TagStr(), maxPrefix)
	}
	r := &Registry{client: client, repo: tag.Repository, prefix: tag.TagStr() + "-"}
	r.pusher = sync.OnceValues(func() (*registry.Pusher, error) { return client.Pusher(tag.Repository) })
	return r, nil
}

func (r *Registry) keyTag(hex string) name.Tag { return r.repo.Tag(r.prefix + hex) }

func (r *Registry) opTag(hex string) name.Tag { return r.repo.Tag(r.prefix + "op-" + hex) }

func (r *Registry) mountTag(hex string) name.Tag { return r.repo.Tag(r.prefix + "mount-" + hex) }

// Known implements Remote.
func (r *Registry) Known(ctx context.Context, op v1.Hash) (bool, error) {
	return r.client.Exists(ctx, r.opTag(op.Hex))
}

// Find implements Remote.
func (r *Registry) Find(ctx context.Context, key v1.Hash) (Document, error) {
	return r.lookup(ctx, r.keyTag(key.Hex), key)
}

// FindMount implements Mounts.
func (r *Registry) FindMount(ctx context.Context, id v1.Hash) (Document, error) {
	return r.lookup(ctx, r.mountTag(id.Hex), id)
}

func (r *Registry) lookup(ctx context.Context, tag name.Tag, key v1.Hash) (Document, error) {
	m, err := r.client.Lookup(ctx, tag)
	if err != nil {
		return Document{}, err
	}
	if m.Image == nil {
		return Document{}, fmt.Errorf("%w: the tag is not of an image", fs.ErrNotExist)
	}
	return documentOf(m.Image, key)
}

// documentOf takes the document out of a manifest.
func documentOf(m *v1.Manifest, key v1.Hash) (Document, error) {
	d, err := parseDocument([]byte(m.Annotations[documentAnnotation]), key)
	if err != nil {
		return Document{}, err
	}
	if len(m.Layers) != 1 || m.Layers[0].Digest != d.Digest || m.Layers[0].Size != d.Size || !isPacked(m.Layers[0].MediaType) {
		return Document{}, fmt.Errorf("%w: the document is of another layer", fs.ErrNotExist)
	}
	return d, nil
}

// Blob implements Remote.
func (r *Registry) Blob(ctx context.Context, d Document) v1.Layer {
	return r.client.Layer(ctx, r.repo, d.descriptor(), d.DiffID)
}

// Has implements Writer.
func (r *Registry) Has(ctx context.Context, key v1.Hash) (bool, error) {
	return r.client.Exists(ctx, r.keyTag(key.Hex))
}

// Check finds out whether the cache can be written to.
func (r *Registry) Check(ctx context.Context) error {
	p, err := r.pusher()
	if err != nil {
		return err
	}
	return p.Check(ctx)
}

// Share implements Writer.
func (r *Registry) Share(ctx context.Context, d Document, blob v1.Layer) error {
	p, manifest, err := r.push(ctx, d, blob)
	if err != nil {
		return err
	}
	return r.tag(ctx, p, d, manifest)
}

// ShareMount implements Mounts.
func (r *Registry) ShareMount(ctx context.Context, d Document, blob v1.Layer) error {
	p, manifest, err := r.push(ctx, d, blob)
	if err != nil {
		return err
	}
	return p.Manifest(ctx, types.OCIManifestSchema1, manifest, r.mountTag(d.Keys[0]).TagStr())
}

// push pushes the blobs of a document's image and returns its manifest.
func (r *Registry) push(ctx context.Context, d Document, blob v1.Layer) (*registry.Pusher, []byte, error) {
	p, err := r.pusher()
	if err != nil {
		return nil, nil, err
	}
	config, manifest, err := imageOf(d)
	if err != nil {
		return nil, nil, err
	}
	g, pushing := errgroup.WithContext(ctx)
	g.Go(func() error { return p.Layer(pushing, blob) })
	g.Go(func() error { return p.Layer(pushing, config) })
	return p, manifest, g.Wait()
}

// tag puts a manifest under the tags of a document.
func (r *Registry) tag(ctx context.Context, p *registry.Pusher, d Document, manifest []byte) error {
	var g errgroup.Group
	g.Go(func() error { return r.add(ctx, p, manifest, r.opTag(d.Op)) })
	for _, key := range d.Keys {
		g.Go(func() error {
			if d.replaces {
				return r.replace(ctx, p, d, manifest, key)
			}
			return r.add(ctx, p, manifest, r.keyTag(key))
		})
	}
	return g.Wait()
}

// add puts a manifest under a tag that does not exist. One that somebody else has made in the meantime is as good,
// and may be one that cannot be changed.
func (r *Registry) add(ctx context.Context, p *registry.Pusher, manifest []byte, t name.Tag) error {
	there, err := r.client.Exists(ctx, t)
	if err != nil || there {
		return err
	}
	err = p.Manifest(ctx, types.OCIManifestSchema1, manifest, t.TagStr())
	if there, asking := r.client.Exists(ctx, t); err != nil && asking == nil && there {
		return nil
	}
	return err
}

// replace puts a manifest under the tag of a key, unless what is there holds the same.
func (r *Registry) replace(ctx context.Context, p *registry.Pusher, d Document, manifest []byte, key string) error {
	found, err := r.Find(ctx, v1.Hash{Algorithm: "sha256", Hex: key})
	if err == nil && found.Content == d.Content && slices.Equal(found.Inputs, d.Inputs) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.Manifest(ctx, types.OCIManifestSchema1, manifest, r.keyTag(key).TagStr())
}

// imageOf makes the image of a document: what registries expect of one, with nothing in it that depends on when
// it is made.
func imageOf(d Document) (config v1.Layer, manifest []byte, err error) {
	document, err := json.Marshal(d)
	if err != nil {
		return nil, nil, err
	}
	file, err := json.Marshal(v1.ConfigFile{
		OS: "unknown", Architecture: "unknown",
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{d.DiffID}}, Created: v1.Time{Time: d.Created.Truncate(time.Second)},
	})
	if err != nil {
		return nil, nil, err
	}
	config = static.NewLayer(file, types.OCIConfigJSON)
	digest, err := config.Digest()
	if err != nil {
		return nil, nil, err
	}
	manifest, err = json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config:      v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: digest, Size: int64(len(file))},
		Layers:      []v1.Descriptor{d.descriptor()},
		Annotations: map[string]string{documentAnnotation: string(document)},
	})
	return config, manifest, err
}

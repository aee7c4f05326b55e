package exporter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Built is an image of a result.
type Built struct {
	// Image may be nil for an output that writes files; then Layers are what they are taken from.
	Image v1.Image
	// Layers are lowest first. Nothing but what is in them is asked of them.
	Layers []v1.Layer
	// Epoch, if not nil, is the time that all its files get where files are written: source-date-epoch.
	Epoch *time.Time
	// Platform is what the image is for.
	Platform v1.Platform
	// Annotations are those of the image's descriptor: annotation-manifest-descriptor.KEY.
	Annotations map[string]string
	// Statements are what is attested of the image.
	Statements []Statement

	// artifact is the kind of a manifest that holds no image; empty for an image.
	artifact string
}

// layers are the layers of the image.
func (b Built) layers() ([]v1.Layer, error) {
	if b.Image == nil {
		return b.Layers, nil
	}
	return b.Image.Layers()
}

// descriptor is how an index refers to the image.
func (b Built) descriptor() (v1.Descriptor, error) {
	d, err := partial.Descriptor(b.Image)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d.Annotations = b.Annotations
	if b.artifact != "" {
		d.ArtifactType, d.Platform = b.artifact, nil
		if b.Platform.OS != "" {
			d.Platform = &b.Platform
		}
		return *d, nil
	}
	if d.Platform, err = b.platform(); err != nil {
		return v1.Descriptor{}, err
	}
	if types.MediaType(d.ArtifactType).IsConfig() {
		d.ArtifactType = "" // go-containerregistry takes every image for an artifact
	}
	return *d, nil
}

// platform is what the image is for, with what only the config knows: the version of Windows.
func (b Built) platform() (*v1.Platform, error) {
	p := b.Platform.DeepCopy()
	if p.OSVersion != "" {
		return p, nil
	}
	config, err := b.Image.ConfigFile()
	if err != nil {
		return nil, err
	}
	p.OSVersion, p.OSFeatures = config.OSVersion, config.OSFeatures
	return p, nil
}

// IndexOptions say what an index is like beside its images.
type IndexOptions struct {
	// DockerTypes uses Docker's media types instead of OCI's: oci-mediatypes=false.
	DockerTypes bool
	// Annotations are those of the index: annotation-index.KEY.
	Annotations map[string]string
	// DescriptorAnnotations are those of the index's descriptor: annotation-index-descriptor.KEY.
	DescriptorAnnotations map[string]string
	// Always makes an index of a single image too.
	Always bool
	// Attestations says where the statements about the images go; empty is AsReferrers.
	Attestations Attestations
}

// errAnnotations: the types of Docker's manifests have no place for them.
var errAnnotations = errors.New("annotations need OCI media types")

// index is an index of images made here.
type index struct {
	raw      []byte
	manifest v1.IndexManifest
	images   []Built
}

// Index makes an index of images, in their order.
func Index(images []Built, o IndexOptions) (v1.ImageIndex, error) {
	if o.DockerTypes && len(o.Annotations)+len(o.DescriptorAnnotations) > 0 {
		return nil, errAnnotations
	}
	x := &index{images: images}
	entries := []v1.Descriptor{}
	for _, b := range images {
		d, err := b.descriptor()
		if err != nil {
			return nil, fmt.Errorf("describing the image for %s: %w", b.Platform, err)
		}
		if o.DockerTypes && len(d.Annotations) > 0 {
			return nil, errAnnotations
		}
		entries = append(entries, d)
	}
	x.manifest = Merge(entries, o)
	var err error
	x.raw, err = json.MarshalIndent(x.manifest, "", "  ")
	return x, err
}

// Merge makes an index of images that exist.
func Merge(entries []v1.Descriptor, o IndexOptions) v1.IndexManifest {
	return v1.IndexManifest{
		SchemaVersion: 2, MediaType: families(o.DockerTypes).index, Manifests: entries, Annotations: o.Annotations,
	}
}

// MediaType implements v1.ImageIndex.
func (x *index) MediaType() (types.MediaType, error) { return x.manifest.MediaType, nil }

// Digest implements v1.ImageIndex.
func (x *index) Digest() (v1.Hash, error) { return hash(x.raw) }

// Size implements v1.ImageIndex.
func (x *index) Size() (int64, error) { return int64(len(x.raw)), nil }

// IndexManifest implements v1.ImageIndex.
func (x *index) IndexManifest() (*v1.IndexManifest, error) { return x.manifest.DeepCopy(), nil }

// RawManifest implements v1.ImageIndex.
func (x *index) RawManifest() ([]byte, error) { return x.raw, nil }

// Image implements v1.ImageIndex.
func (x *index) Image(h v1.Hash) (v1.Image, error) {
	for n, d := range x.manifest.Manifests {
		if d.Digest == h {
			return x.images[n].Image, nil
		}
	}
	return nil, notFound(h)
}

// ImageIndex implements v1.ImageIndex. There are no indexes in an index.
func (x *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) { return nil, notFound(h) }

// notFound says that there is nothing with the digest h.
func notFound(h v1.Hash) error { return fmt.Errorf("looking up %s: %w", h, fs.ErrNotExist) }

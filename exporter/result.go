package exporter

import (
	"context"
	"errors"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
)

// Result is what a build has made.
type Result struct {
	// Images are all images, one for each platform.
	Images []Built
	// Index has them all. It is nil if there is one image and no index is wanted.
	Index v1.ImageIndex
	// Annotations are those of the index's descriptor, where one is written: annotation-index-descriptor.KEY.
	Annotations map[string]string

	// referrers are manifests about the images that nothing in the result refers to, indexed those that the
	// index lists.
	referrers, indexed []Built
}

// NewResult returns the result of a build that has made images. Several, or one if that is asked for, get an
// index.
func NewResult(images []Built, o IndexOptions) (Result, error) {
	referrers, indexed, err := attest(images, o.Attestations)
	if err != nil {
		return Result{}, err
	}
	o.Always = o.Always || len(indexed) > 0
	switch {
	case len(images) == 0:
		return Result{}, errors.New("there is no image")
	case len(images) == 1 && !o.Always && len(o.Annotations)+len(o.DescriptorAnnotations) > 0:
		return Result{}, errors.New("a single image has no index that could be annotated")
	case len(images) == 1 && !o.Always:
		return Result{Images: images, referrers: referrers}, nil
	}
	x, err := Index(slices.Concat(images, indexed), o)
	return Result{Images: images, Index: x, Annotations: o.DescriptorAnnotations, referrers: referrers, indexed: indexed}, err
}

// Output is a place for results.
type Output interface {
	// Write puts r there. What can be seen from outside changes last.
	Write(ctx context.Context, r Result) (Written, error)
}

// Written is what an output has to tell.
type Written struct {
	// Descriptor is what the names stand for now. It is zero if no image was written, only its files.
	Descriptor v1.Descriptor
	// Names are full names of the image, such as docker.io/library/app:latest.
	Names []string
	// Notes are sentences about what could not be written as it is in the image.
	Notes []string
}

// CacheOnly writes nothing.
type CacheOnly struct{}

// Write implements Output.
func (CacheOnly) Write(context.Context, Result) (Written, error) { return Written{}, nil }

// top is the manifest that the names of the result stand for.
func (r Result) top() (manifest, error) {
	if r.Index != nil {
		d, err := partial.Descriptor(r.Index)
		if err != nil {
			return manifest{}, err
		}
		d.Annotations = r.Annotations
		raw, err := r.Index.RawManifest()
		return manifest{*d, raw}, err
	}
	if len(r.Images) != 1 {
		return manifest{}, errors.New("several images need an index")
	}
	return r.Images[0].manifest()
}

// manifest is a manifest or index and how to refer to it.
type manifest struct {
	v1.Descriptor
	raw []byte
}

func (b Built) manifest() (manifest, error) {
	d, err := b.descriptor()
	if err != nil {
		return manifest{}, err
	}
	raw, err := b.Image.RawManifest()
	return manifest{d, raw}, err
}

// blobs returns the config and the layers of an image, lowest first. Layers that must not be distributed
// are not among them.
func (b Built) blobs() ([]v1.Layer, error) {
	config, err := partial.ConfigLayer(b.Image)
	if err != nil {
		return nil, err
	}
	layers, err := b.Image.Layers()
	if err != nil {
		return nil, err
	}
	blobs := []v1.Layer{config}
	for _, l := range layers {
		media, err := l.MediaType()
		if err != nil {
			return nil, err
		}
		if media.IsDistributable() {
			blobs = append(blobs, l)
		}
	}
	return blobs, nil
}

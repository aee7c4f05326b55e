package sign

import (
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// blob is a layer of the images that cosign keeps signed texts in.
type blob struct {
	content     []byte
	annotations map[string]string
}

// pack returns an image that has blobs of one type for layers.
func pack(media types.MediaType, blobs []blob) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var layers []mutate.Addendum
	for _, b := range blobs {
		layers = append(layers, mutate.Addendum{Layer: static.NewLayer(b.content, media), Annotations: b.annotations})
	}
	return mutate.Append(image, layers...)
}

const (
	// maxBlob bounds what is read of a blob, in bytes: a list of what a large image holds is a few MiB. maxBlobs bounds
	// how many are read.
	maxBlob  = 64 << 20
	maxBlobs = 1000
)

// unpack returns the layers of an image, which must all be of one type.
func unpack(m *v1.Manifest, media types.MediaType, open func(v1.Descriptor) (io.ReadCloser, error)) ([]blob, error) {
	if len(m.Layers) > maxBlobs {
		return nil, fmt.Errorf("there are %d, more than the allowed %d", len(m.Layers), maxBlobs)
	}
	var all []blob
	for _, d := range m.Layers {
		if d.MediaType != media {
			return nil, fmt.Errorf("%s is a %s", d.Digest, d.MediaType)
		}
		if d.Size > maxBlob {
			return nil, fmt.Errorf("%s has %d bytes, more than the allowed %d", d.Digest, d.Size, maxBlob)
		}
		content, err := readBlob(d, open)
		if err != nil {
			return nil, err
		}
		all = append(all, blob{content, d.Annotations})
	}
	return all, nil
}

func readBlob(d v1.Descriptor, open func(v1.Descriptor) (io.ReadCloser, error)) ([]byte, error) {
	r, err := open(d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

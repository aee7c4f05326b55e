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
	// maxSignature bounds what is read of a signed text about a manifest, in bytes: one has some hundred. maxAll bounds
	// what is read of all layers of an image, and so of a statement: a list of what a large image holds is a few MiB.
	// maxBlobs bounds how many layers are read.
	maxSignature = 1 << 20
	maxAll       = 64 << 20
	maxBlobs     = 1000
)

// unpack returns the layers of an image, which must all be of one type and of at most most bytes. Whoever may push to
// the repository decides what they are.
func unpack(m *v1.Manifest, media types.MediaType, most int64, open func(v1.Descriptor) (io.ReadCloser, error)) ([]blob, error) {
	if len(m.Layers) > maxBlobs {
		return nil, fmt.Errorf("there are %d, more than the allowed %d", len(m.Layers), maxBlobs)
	}
	var all []blob
	left := int64(maxAll)
	for _, d := range m.Layers {
		if d.MediaType != media {
			return nil, fmt.Errorf("%s is a %s", d.Digest, d.MediaType)
		}
		if d.Size < 0 || d.Size > most {
			return nil, fmt.Errorf("%s has %d bytes, and 0 to %d are allowed", d.Digest, d.Size, most)
		}
		if left -= d.Size; left < 0 {
			return nil, fmt.Errorf("all have more than the allowed %d bytes", maxAll)
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
	content, err := io.ReadAll(io.LimitReader(r, d.Size+1))
	if err == nil && int64(len(content)) != d.Size {
		err = fmt.Errorf("%s has not the %d bytes that its manifest says", d.Digest, d.Size)
	}
	return content, err
}

package exporter

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// dockerLayerZstd has no name in go-containerregistry. Docker has none for it either, but containerd does.
const dockerLayerZstd types.MediaType = "application/vnd.docker.image.rootfs.diff.tar.zstd"

// family is one of the two sets of media types. All of a manifest is of one.
type family struct {
	index, manifest, config types.MediaType
	docker                  bool
}

func families(docker bool) family {
	if docker {
		return family{types.DockerManifestList, types.DockerManifestSchema2, types.DockerConfigJSON, true}
	}
	return family{types.OCIImageIndex, types.OCIManifestSchema1, types.OCIConfigJSON, false}
}

// layer returns the media type of a layer in the family. Layers that must not be distributed stay so only if
// keep is set.
func (f family) layer(media types.MediaType, keep bool) (types.MediaType, error) {
	for _, row := range []struct {
		oci, docker types.MediaType
		// free is the type without the restriction, if there is one.
		free types.MediaType
	}{
		{types.OCIUncompressedLayer, types.DockerUncompressedLayer, ""},
		{types.OCILayer, types.DockerLayer, ""},
		{types.OCILayerZStd, dockerLayerZstd, ""},
		{types.OCIUncompressedRestrictedLayer, "", types.OCIUncompressedLayer},
		{types.OCIRestrictedLayer, types.DockerForeignLayer, types.OCILayer},
	} {
		switch {
		case media == "" || (media != row.oci && media != row.docker):
		case row.free != "" && !keep:
			return f.layer(row.free, keep)
		case !f.docker:
			return row.oci, nil
		case row.docker != "":
			return row.docker, nil
		}
	}
	return "", fmt.Errorf("a layer of type %q cannot be part of a %s", media, f.manifest)
}

// layer is a layer as a manifest has it: the same bytes, perhaps under another media type.
type layer struct {
	v1.Layer
	descriptor v1.Descriptor
}

// MediaType implements v1.Layer.
func (l *layer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }

// Descriptor returns the descriptor of the layer in its manifest.
func (l *layer) Descriptor() (*v1.Descriptor, error) { return l.descriptor.DeepCopy(), nil }

// Unwrap returns the layer as it came.
func (l *layer) Unwrap() v1.Layer { return l.Layer }

// describer is a layer that knows more about itself than v1.Layer tells.
type describer interface {
	Descriptor() (*v1.Descriptor, error)
}

// describe makes l a layer of the family. It waits until l is hashed.
func (f family) describe(l v1.Layer, keep bool) (*layer, error) {
	var d v1.Descriptor
	if own, ok := l.(describer); ok {
		have, err := own.Descriptor()
		if err != nil {
			return nil, err
		}
		d.URLs, d.Annotations = have.URLs, have.Annotations
	}
	var err error
	if d.Digest, err = l.Digest(); err != nil {
		return nil, err
	}
	if d.Size, err = l.Size(); err != nil {
		return nil, err
	}
	media, err := l.MediaType()
	if err != nil {
		return nil, err
	}
	if d.MediaType, err = f.layer(media, keep); err != nil {
		return nil, err
	}
	if d.MediaType.IsDistributable() {
		d.URLs = nil
	}
	d.Annotations = f.layerAnnotations(d.Annotations)
	return &layer{Layer: l, descriptor: d}, nil
}

// layerAnnotations drops what tools note down about a layer for themselves. Docker's manifests have none.
func (f family) layerAnnotations(in map[string]string) map[string]string {
	if f.docker {
		return nil
	}
	var out map[string]string
	for k, v := range in {
		if k == "containerd.io/uncompressed" || k == "buildkit/createdat" || strings.HasPrefix(k, "containerd.io/distribution.source.") {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = v
	}
	return out
}

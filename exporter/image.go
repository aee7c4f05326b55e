package exporter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// Options say what an image is like beside its config and layers. The names in comments are those of the
// options of BuildKit's exporters.
type Options struct {
	// DockerTypes uses Docker's media types instead of OCI's: oci-mediatypes=false.
	DockerTypes bool
	// NonDistributable keeps layers out of registries that are marked so: prefer-nondist-layers.
	NonDistributable bool
	// Epoch, if not nil, is the time that nothing this build has made may be younger than: source-date-epoch.
	Epoch *time.Time
	// BaseHistory is how many of the first entries of the history are the base image's.
	BaseHistory int
	// Fields are put into the config beside those that it has, by name.
	Fields map[string]json.RawMessage
	// Annotations are those of the manifest: annotation.KEY and annotation[PLATFORM].KEY.
	Annotations map[string]string
}

// image is an image made here. All of it is known but the bytes of the layers.
type image struct {
	raw      []byte
	manifest v1.Manifest
	config   v1.Layer
	json     []byte
	layers   []*layer
}

// Image makes an image. The root file system and history of config are replaced by what fits the layers,
// lowest first. It waits until all layers are hashed.
func Image(config dockerspec.DockerOCIImage, layers []v1.Layer, o Options) (v1.Image, error) {
	f := families(o.DockerTypes)
	if o.DockerTypes && len(o.Annotations) > 0 {
		return nil, errAnnotations
	}
	i := &image{manifest: v1.Manifest{SchemaVersion: 2, MediaType: f.manifest, Layers: []v1.Descriptor{}, Annotations: o.Annotations}}
	for n, l := range layers {
		described, err := f.describe(l, o.NonDistributable)
		if err != nil {
			return nil, fmt.Errorf("describing layer %d: %w", n+1, err)
		}
		i.layers = append(i.layers, described)
		i.manifest.Layers = append(i.manifest.Layers, described.descriptor)
	}
	var err error
	if i.json, err = marshalConfig(config, layers, o); err != nil {
		return nil, fmt.Errorf("writing the config: %w", err)
	}
	i.config = static.NewLayer(i.json, f.config)
	described, err := partial.Descriptor(i.config)
	if err != nil {
		return nil, err
	}
	i.manifest.Config = *described
	i.raw, err = json.MarshalIndent(i.manifest, "", "  ")
	return i, err
}

// Layers implements v1.Image.
func (i *image) Layers() ([]v1.Layer, error) {
	layers := make([]v1.Layer, len(i.layers))
	for n, l := range i.layers {
		layers[n] = l
	}
	return layers, nil
}

// MediaType implements v1.Image.
func (i *image) MediaType() (types.MediaType, error) { return i.manifest.MediaType, nil }

// Size implements v1.Image.
func (i *image) Size() (int64, error) { return int64(len(i.raw)), nil }

// ConfigName implements v1.Image.
func (i *image) ConfigName() (v1.Hash, error) { return i.manifest.Config.Digest, nil }

// ConfigFile implements v1.Image.
func (i *image) ConfigFile() (*v1.ConfigFile, error) {
	return v1.ParseConfigFile(bytes.NewReader(i.json))
}

// RawConfigFile implements v1.Image.
func (i *image) RawConfigFile() ([]byte, error) { return i.json, nil }

// ConfigLayer returns the config as a blob.
func (i *image) ConfigLayer() (v1.Layer, error) { return i.config, nil }

// Digest implements v1.Image.
func (i *image) Digest() (v1.Hash, error) { return hash(i.raw) }

// Manifest implements v1.Image.
func (i *image) Manifest() (*v1.Manifest, error) { return i.manifest.DeepCopy(), nil }

// RawManifest implements v1.Image.
func (i *image) RawManifest() ([]byte, error) { return i.raw, nil }

// LayerByDigest implements v1.Image.
func (i *image) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if h == i.manifest.Config.Digest {
		return i.config, nil
	}
	for _, l := range i.layers {
		if l.descriptor.Digest == h {
			return l, nil
		}
	}
	return nil, notFound(h)
}

// LayerByDiffID implements v1.Image.
func (i *image) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	for _, l := range i.layers {
		if d, err := l.DiffID(); err == nil && d == h {
			return l, nil
		}
	}
	return nil, notFound(h)
}

func hash(b []byte) (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(b))
	return h, err
}

package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What is read of manifests and configs at most.
const (
	maxManifest = 4 << 20
	maxConfig   = 8 << 20
	maxEntries  = 1000
	maxLayers   = 500
)

// Manifest is a manifest or an index as a registry has it, checked.
type Manifest struct {
	// Descriptor has the media type, size and digest of Raw.
	Descriptor v1.Descriptor
	// Raw are the bytes that the digest is of.
	Raw []byte
	// Exactly one of Image and Index is set.
	Image *v1.Manifest
	Index *v1.IndexManifest
}

var errSchema1 = errors.New("the manifest has the outdated schema 1; push the image anew with a current tool")

// isManifest checks the Content-Type of an answer that should be a manifest.
func isManifest(contentType string) error {
	media, _, _ := mime.ParseMediaType(contentType)
	switch m := types.MediaType(media); {
	case m.IsImage(), m.IsIndex():
		return nil
	case m.IsSchema1():
		return errSchema1
	}
	return fmt.Errorf("the registry answered with %q instead of a manifest", oneLine(contentType))
}

// parseManifest reads raw, which must be what it says it is: one kind of manifest, of schema 2, without a
// key that stands twice.
func parseManifest(raw []byte) (*Manifest, error) {
	media, err := kind(raw)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Raw: raw}
	m.Descriptor.MediaType = media
	m.Descriptor.Size = int64(len(raw))
	if m.Descriptor.Digest, _, err = v1.SHA256(bytes.NewReader(raw)); err != nil {
		return nil, err
	}
	if media.IsIndex() {
		m.Index = &v1.IndexManifest{}
		if err := json.Unmarshal(raw, m.Index); err != nil {
			return nil, fmt.Errorf("parsing the index: %w", err)
		}
		return m, checkIndex(m.Index)
	}
	m.Image = &v1.Manifest{}
	if err := json.Unmarshal(raw, m.Image); err != nil {
		return nil, fmt.Errorf("parsing the manifest: %w", err)
	}
	return m, checkImage(m.Image)
}

// kind finds out what a manifest is by what it has, and refuses one that could be taken for two things or
// calls itself by another name. Without a media type of its own it is one of OCI, where that is optional.
func kind(raw []byte) (types.MediaType, error) {
	if err := checkJSON(raw); err != nil {
		return "", err
	}
	var has struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     types.MediaType `json:"mediaType"`
		Config        json.RawMessage `json:"config"`
		Layers        json.RawMessage `json:"layers"`
		Manifests     json.RawMessage `json:"manifests"`
		FSLayers      json.RawMessage `json:"fsLayers"`
	}
	if err := json.Unmarshal(raw, &has); err != nil {
		return "", fmt.Errorf("parsing the manifest: %w", err)
	}
	image, index := has.Config != nil || has.Layers != nil, has.Manifests != nil
	switch {
	case has.SchemaVersion == 1, has.FSLayers != nil:
		return "", errSchema1
	case has.SchemaVersion != 2:
		return "", fmt.Errorf("the manifest has the unknown schema version %d", has.SchemaVersion)
	case image == index:
		return "", errors.New("it cannot be told whether this is a manifest or an index")
	case has.MediaType == "" && image:
		return types.OCIManifestSchema1, nil
	case has.MediaType == "":
		return types.OCIImageIndex, nil
	case image && has.MediaType.IsImage(), index && has.MediaType.IsIndex():
		return has.MediaType, nil
	}
	return "", fmt.Errorf("the manifest is not what its mediaType %q says", oneLine(string(has.MediaType)))
}

func checkIndex(x *v1.IndexManifest) error {
	if len(x.Manifests) > maxEntries {
		return fmt.Errorf("the index has %d entries, more than the allowed %d", len(x.Manifests), maxEntries)
	}
	for i, d := range x.Manifests {
		if err := checkDescriptor(d); err != nil {
			return fmt.Errorf("entry %d of the index: %w", i+1, err)
		}
	}
	return nil
}

func checkImage(m *v1.Manifest) error {
	if len(m.Layers) > maxLayers {
		return fmt.Errorf("the image has %d layers, more than the allowed %d", len(m.Layers), maxLayers)
	}
	if err := checkDescriptor(m.Config); err != nil {
		return fmt.Errorf("the config: %w", err)
	}
	for i, d := range m.Layers {
		if err := checkDescriptor(d); err != nil {
			return fmt.Errorf("layer %d: %w", i+1, err)
		}
	}
	return nil
}

// checkDescriptor checks what parsing has not: a digest that is there at all is a valid one.
func checkDescriptor(d v1.Descriptor) error {
	if d.Digest == (v1.Hash{}) {
		return errors.New("it has no digest")
	}
	if d.Size < 0 {
		return fmt.Errorf("%s has the size %d", d.Digest, d.Size)
	}
	return nil
}

// fits checks that m is what a Content-Type or a descriptor announced.
func (m *Manifest) fits(announced string) error {
	media, _, err := mime.ParseMediaType(announced)
	if err != nil || types.MediaType(media) != m.Descriptor.MediaType {
		return fmt.Errorf("the manifest is a %s but was announced as %q", m.Descriptor.MediaType, oneLine(announced))
	}
	return nil
}

// parseConfig reads the config of an image with so many layers.
func parseConfig(raw []byte, layers int) (*v1.ConfigFile, error) {
	if err := checkJSON(raw); err != nil {
		return nil, err
	}
	c := &v1.ConfigFile{}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, fmt.Errorf("parsing the config: %w", err)
	}
	if len(c.RootFS.DiffIDs) != layers {
		return nil, fmt.Errorf("the config has %d diff IDs but the manifest %d layers", len(c.RootFS.DiffIDs), layers)
	}
	for i, d := range c.RootFS.DiffIDs {
		if d == (v1.Hash{}) {
			return nil, fmt.Errorf("the config has no diff ID for layer %d", i+1)
		}
	}
	return c, nil
}

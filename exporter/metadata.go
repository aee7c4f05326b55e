package exporter

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Metadata is what --metadata-file tells about a build, by buildx's keys. What is of images is there only if an
// output has written one, and the digest of a config only if it is an image and not an index.
func Metadata(r Result, written []Written) (map[string]any, error) {
	m := map[string]any{}
	var names []string
	for _, w := range written {
		names = append(names, w.Names...)
		if w.Descriptor.Digest != (v1.Hash{}) {
			m["containerimage.descriptor"] = w.Descriptor
			m["containerimage.digest"] = w.Descriptor.Digest.String()
		}
	}
	if len(m) == 0 {
		return m, nil
	}
	if len(names) > 0 {
		m["image.name"] = strings.Join(names, ",")
	}
	if r.Index == nil {
		id, err := ImageID(r)
		if err != nil {
			return nil, err
		}
		m["containerimage.config.digest"] = id
	}
	return m, nil
}

// ImageID is what --iidfile holds and --quiet prints, as with buildx: the digest of the config of an image,
// which docker calls its ID, or the digest of an index.
func ImageID(r Result) (string, error) {
	if r.Index == nil && len(r.Images) == 1 {
		id, err := r.Images[0].Image.ConfigName()
		return id.String(), err
	}
	top, err := r.top()
	return top.Digest.String(), err
}

package exporter

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// dated is a layer that knows when it was made.
type dated interface {
	// Created returns that time, zero if it is not known.
	Created() (time.Time, error)
}

// marshalConfig writes the config of an image with these layers. Equal input gives equal bytes.
func marshalConfig(c dockerspec.DockerOCIImage, layers []v1.Layer, o Options) ([]byte, error) {
	switch {
	case c.OS == "":
		return nil, errors.New("the config has no operating system")
	case c.Architecture == "":
		return nil, errors.New("the config has no architecture")
	}
	c.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}
	for n, l := range layers {
		d, err := l.DiffID()
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", n+1, err)
		}
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, digest.Digest(d.String()))
	}
	c.History = fitHistory(c.History, len(layers), o.BaseHistory)
	if err := dateLayers(c.History, layers); err != nil {
		return nil, err
	}
	c.History = clamp(fillTimes(c.History), o.BaseHistory, o.Epoch)
	if c.Created != nil {
		c.Created = notAfter(c.Created, o.Epoch)
	} else if len(c.History) > 0 {
		c.Created = c.History[len(c.History)-1].Created // the base's own time if nothing was added
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return withFields(text, o.Fields)
}

// withFields adds fields to a JSON object, in the order of their names.
func withFields(object []byte, fields map[string]json.RawMessage) ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		object = slices.Concat(object[:len(object)-1], []byte(","), quoted, []byte(":"), fields[name], []byte("}"))
	}
	return object, nil
}

// dateLayers gives the entries of layers that know their time that time, unless they have one. There is an
// entry for every layer.
func dateLayers(history []ocispec.History, layers []v1.Layer) error {
	n := 0
	for i := range history {
		if history[i].EmptyLayer {
			continue
		}
		l, ok := layers[n].(dated)
		n++
		if !ok || history[i].Created != nil {
			continue
		}
		t, err := l.Created()
		if err != nil {
			return fmt.Errorf("layer %d: %w", n, err)
		}
		if !t.IsZero() {
			history[i].Created = &t
		}
	}
	return nil
}

// fitHistory returns a history that has an entry for each of so many layers. Docker and others refuse an image
// without that. The first base entries are those of the base image.
//
// Entries that are missing are put above those of the base, because only images made elsewhere lack any.
// For entries that are too many the last ones are said to have made no layer.
func fitHistory(history []ocispec.History, layers, base int) []ocispec.History {
	history = slices.Clone(history)
	made := 0
	for i := range history {
		if !history[i].EmptyLayer && made == layers {
			history[i].EmptyLayer = true
		}
		if !history[i].EmptyLayer {
			made++
		}
	}
	missing := make([]ocispec.History, layers-made)
	for i := range missing {
		missing[i].Comment = "this layer came without a history"
	}
	return slices.Insert(history, min(base, len(history)), missing...)
}

// fillTimes gives entries without a time the one of the next that has one, or else of the last before.
func fillTimes(history []ocispec.History) []ocispec.History {
	var known *time.Time
	for i := len(history) - 1; i >= 0; i-- {
		if history[i].Created == nil {
			history[i].Created = known
		}
		known = history[i].Created
	}
	for i := range history {
		if history[i].Created == nil {
			history[i].Created = known
		}
		known = history[i].Created
	}
	return history
}

// clamp makes no entry above those of the base younger than the epoch.
func clamp(history []ocispec.History, base int, epoch *time.Time) []ocispec.History {
	for i := min(base, len(history)); i < len(history) && epoch != nil; i++ {
		if history[i].Created == nil {
			history[i].Created = epoch
		}
		history[i].Created = notAfter(history[i].Created, epoch)
	}
	return history
}

// notAfter returns the earlier of two times that may be unknown: t if one is.
func notAfter(t, limit *time.Time) *time.Time {
	if t != nil && limit != nil && t.After(*limit) {
		return limit
	}
	return t
}

package exporter

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// marshalConfig writes the config of an image with these layers. Equal input gives equal bytes.
func marshalConfig(c dockerspec.DockerOCIImage, diffIDs []v1.Hash, o Options) ([]byte, error) {
	switch {
	case c.OS == "":
		return nil, errors.New("the config has no operating system")
	case c.Architecture == "":
		return nil, errors.New("the config has no architecture")
	}
	c.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}
	for _, d := range diffIDs {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, digest.Digest(d.String()))
	}
	c.History = clamp(fitHistory(c.History, len(diffIDs), o.BaseHistory), o.BaseHistory, o.Epoch)
	if c.Created == nil && len(c.History) > 0 {
		c.Created = c.History[len(c.History)-1].Created
	}
	c.Created = notAfter(c.Created, o.Epoch)
	return json.Marshal(c)
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
	return fillTimes(slices.Insert(history, min(base, len(history)), missing...))
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

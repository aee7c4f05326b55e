//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/attest"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/guard"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/ops"
)

// guardGraph looks for secrets in what the build is about to do: the configs of the images and the operations
// that are noted down in records of the cache.
func (b *build) guardGraph() error {
	if b.guard.Guard == nil {
		return nil
	}
	var err error
	solver.Walk(b.roots(), func(v *solver.Vertex) {
		for _, value := range solver.Values(v) {
			if id := b.guard.Find([]byte(value)); id != "" && err == nil {
				err = b.exposed(v.Step.Location, fmt.Sprintf("%s: the secret %q is part of the instruction itself", b.guard.Mask(v.Step.Text), id))
			}
		}
	})
	for _, image := range b.images {
		if err == nil {
			err = b.guardConfig(image)
		}
	}
	if p := b.attest.provenance; err == nil && p != nil && p.mode == attest.Max {
		err = b.guardDockerfile()
	}
	return err
}

// guardDockerfile looks for secrets in the Dockerfile, which a provenance has all of.
func (b *build) guardDockerfile() error {
	id := b.guard.Find(b.source.dockerfile)
	if id == "" {
		return nil
	}
	at := solver.Location{}
	for i, line := range strings.Split(string(b.source.dockerfile), "\n") {
		if b.guard.Find([]byte(line)) == id {
			at = solver.Location{File: b.source.filename, Start: i + 1, End: i + 1}
		}
	}
	return b.exposed(at, fmt.Sprintf("the secret %q is in the Dockerfile, which --provenance=mode=max tells", id))
}

// guardConfig looks for secrets in the config of an image, history included.
func (b *build) guardConfig(image *frontend.Image) error {
	raw, err := json.Marshal(image.Config)
	if err != nil {
		return err
	}
	var config any
	if err := json.Unmarshal(raw, &config); err != nil {
		return err
	}
	place, id := findText(config, "", func(s string) string { return b.guard.Find([]byte(s)) })
	if id == "" {
		return nil
	}
	return b.exposed(solver.Location{}, fmt.Sprintf("the secret %q is in the config of the image, at %s%s", id, place, b.origin(id)))
}

// findText returns where in a JSON value a string is of which find knows something, and what.
func findText(value any, place string, find func(string) string) (string, string) {
	switch value := value.(type) {
	case string:
		return place, find(value)
	case []any:
		for i, v := range value {
			if at, id := findText(v, fmt.Sprintf("%s[%d]", place, i), find); id != "" {
				return at, id
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if id := find(key); id != "" {
				return place, id
			}
			if at, id := findText(value[key], place+"."+key, find); id != "" {
				return at, id
			}
		}
	}
	return "", ""
}

// origin says which option has brought a secret into the build, if one has.
func (b *build) origin(id string) string {
	for _, given := range []struct {
		option string
		values map[string]string
	}{{"--label", b.labels}, {"--build-arg", b.buildArgs}} {
		for _, name := range slices.Sorted(maps.Keys(given.values)) {
			if b.guard.Find([]byte(given.values[name])) == id {
				return fmt.Sprintf("; it came with %s %s", given.option, name)
			}
		}
	}
	return ""
}

// exposed decides about a secret in what the build is about to do.
func (b *build) exposed(at solver.Location, text string) error {
	if b.allowLeaks {
		b.display.Emit(solver.Event{Action: solver.ActionWarning, Text: text, Step: solver.Step{Location: at}})
		return nil
	}
	return &leakError{at, text}
}

// guardLayers looks for secrets in the layers of the results: it waits for those that were made now, and reads
// those that come from the cache unless that was done before.
func (b *build) guardLayers(worker *ops.Worker, trees []solver.Tree) error {
	if b.guard.Guard == nil {
		return nil
	}
	if err := b.guard.scanned(); err != nil {
		return err
	}
	scan := &layerScan{guard: b.guard, worker: worker, memory: b.guard.Memory(filepath.Join(b.path, "guarded"))}
	var g errgroup.Group
	seen := map[v1.Layer]bool{}
	for i, t := range trees {
		for l, v := range ownLayers(b.images[i].Root, t) {
			if !seen[l] {
				seen[l] = true
				g.Go(func() error { return scan.layer(l, v) })
			}
		}
	}
	return g.Wait()
}

// layerScan looks for secrets in layers that are about to be shipped.
type layerScan struct {
	guard  *secretGuard
	worker *ops.Worker
	memory *guard.Memory
}

// layer looks for secrets in the layer of a step. One that was made here and is not kept in any form is searched
// when it is written.
func (s *layerScan) layer(l v1.Layer, v *solver.Vertex) error {
	here := s.guard.madeHere(l)
	if here && pending(l) {
		return nil
	}
	id, err := solver.ContentID(l)
	if err != nil || s.memory.Clean(id.String()) {
		return err
	}
	if !here {
		if err := s.worker.Inspect(v, l); err != nil {
			return err
		}
	}
	if s.guard.permitted {
		return nil
	}
	return s.memory.Remember(id.String())
}

// madeHere reports whether a layer was made by this process and is searched while it is read.
func (g *secretGuard) madeHere(l v1.Layer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(g.made, l)
}

// ownLayers are the layers of a tree that steps of the build made, with those.
func ownLayers(root *solver.Vertex, t solver.Tree) func(func(v1.Layer, *solver.Vertex) bool) {
	return func(yield func(v1.Layer, *solver.Vertex) bool) {
		for i, v := len(t.Layers)-1, root; i >= 0 && !v.Source(); i, v = i-1, v.Inputs[0] {
			if !yield(t.Layers[i], v) {
				return
			}
		}
	}
}

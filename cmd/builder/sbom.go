//go:build linux

package main

import (
	"fmt"
	"iter"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/attest"
	"github.com/seed-298d225e/builder/sbom"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// inventory is a list of what an image holds, as an SPDX document, and what the file is called.
type inventory struct {
	file      string
	predicate []byte
}

// inventories returns the lists of what the i-th image holds: one, or as many as the generator has made.
func (b *build) inventories(i int, digest v1.Hash, t solver.Tree, names []string) ([]inventory, error) {
	if b.attest.sbom.generator != "" {
		return b.generated(i)
	}
	predicate, err := b.once(attest.SPDXType, i, func() ([]byte, error) {
		files, err := b.files(t)
		if err != nil {
			return nil, err
		}
		found, err := sbom.Scan(files)
		if err != nil {
			return nil, err
		}
		created := b.started
		if epoch := b.images[i].Epoch; epoch != nil {
			created = time.Unix(*epoch, 0)
		}
		return found.SPDX(sbom.Document{
			Name: first(append(names, "image")...), Digest: digest.String(), Tool: "builder-" + version(), Created: created,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing what the image holds: %w", err)
	}
	return []inventory{{"sbom.spdx.json", predicate}}, nil
}

// files streams the regular files of a tree of layers. A file with several names comes once.
func (b *build) files(t solver.Tree) (iter.Seq2[sbom.File, error], error) {
	layers := make([]*snapshot.Layer, len(t.Layers))
	for i, l := range t.Layers {
		var ok bool
		if layers[i], ok = l.(*snapshot.Layer); !ok {
			return nil, fmt.Errorf("layer %d is not in the store", i+1)
		}
	}
	view, err := b.store.View(layers)
	if err != nil {
		return nil, err
	}
	return func(yield func(sbom.File, error) bool) {
		for e, err := range snapshot.Walk(view, "") {
			if err != nil {
				yield(sbom.File{}, err)
				return
			}
			if e.Kind != snapshot.Regular {
				continue
			}
			if !yield(sbom.File{Path: e.Path, Size: e.Size, Executable: e.Mode&0o111 != 0, Open: e.Open}, nil) {
				return
			}
		}
	}, nil
}

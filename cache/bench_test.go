package cache

import (
	"fmt"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/solver"
)

// A record among a thousand, each of another operation.
func BenchmarkKeyLookup(b *testing.B) {
	l := static.NewLayer([]byte("content"), types.OCIUncompressedLayer)
	content, err := l.DiffID()
	if err != nil {
		b.Fatal(err)
	}
	d := &Dir{Path: b.TempDir(), Temporary: b.TempDir(), Layers: heldLayers{content: l}}
	records := make([]solver.Record, 1000)
	for i := range records {
		records[i] = solver.Record{Op: id(fmt.Sprint("op ", i)), Content: fmt.Sprint("content ", i), Layer: l}
		if err := d.Put(b.Context(), records[i]); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		r := records[i%len(records)]
		if _, err := d.Get(b.Context(), r.Op, r.Keys()[0]); err != nil {
			b.Fatal(err)
		}
	}
}

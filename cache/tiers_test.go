//go:build linux

package cache

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/solver"
)

// fakeShared is a shared cache in memory that may be broken.
type fakeShared struct {
	mu        sync.Mutex
	documents map[string]Document
	layers    map[v1.Hash]v1.Layer
	broken    error
	asked     int
}

func newFakeShared() *fakeShared {
	return &fakeShared{documents: map[string]Document{}, layers: map[v1.Hash]v1.Layer{}}
}

func (f *fakeShared) Find(_ context.Context, key v1.Hash) (Document, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.broken != nil {
		return Document{}, f.broken
	}
	d, ok := f.documents[key.Hex]
	if !ok {
		return d, fs.ErrNotExist
	}
	return d, nil
}

func (f *fakeShared) Blob(_ context.Context, d Document) v1.Layer { return f.layers[d.Digest] }

func (f *fakeShared) Known(_ context.Context, op v1.Hash) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	for _, d := range f.documents {
		if d.Op == op.Hex {
			return true, f.broken
		}
	}
	return false, f.broken
}

func (f *fakeShared) Has(ctx context.Context, key v1.Hash) (bool, error) {
	_, err := f.Find(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (f *fakeShared) Share(_ context.Context, d Document, l v1.Layer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range d.Keys {
		f.documents[k] = d
	}
	f.layers[d.Digest] = l
	return nil
}

// newTiers returns tiers on an empty directory, and what they warn of.
func newTiers(t *testing.T, l v1.Layer) (*Tiers, *[]string) {
	t.Helper()
	var warnings []string
	content, err := l.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	d := &Dir{Path: t.TempDir(), Temporary: t.TempDir(), Layers: heldLayers{content: l}}
	return &Tiers{Dir: d, Warn: func(text string) { warnings = append(warnings, text) }}, &warnings
}

// What is shared from one machine is found from another one, under the name of the cache; one that is broken is told
// once and not asked again.
func TestTiers(t *testing.T) {
	blob := packedLayer(t, "content")
	shared, broken := newFakeShared(), newFakeShared()
	broken.broken = errors.New("out of order")
	r := solver.Record{Op: id("op"), Content: "content", Definition: "definition", Inputs: []v1.Hash{id("in"), {}}, Layer: blob, Shipped: true}

	writer, _ := newTiers(t, blob)
	writer.To = []*Target{NewTarget(shared, TargetOptions{Name: "shared"})}
	writer.Use(t.Context(), r)
	if err := writer.Finish(t.Context(), nil); err != nil {
		t.Fatal(err)
	}

	reader, warnings := newTiers(t, blob)
	reader.From = []*Source{{Name: "broken", Remote: broken}, {Name: "shared", Remote: shared}}
	for _, key := range r.Keys() {
		if !reader.Known(t.Context(), r.Op) {
			t.Error("the operation is not known")
		}
		got, err := reader.Get(t.Context(), r.Op, key)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Origins, []string{"shared"}) || !slices.Equal(got.Inputs, r.Inputs) {
			t.Errorf("got %+v", got)
		}
	}
	if _, err := reader.Get(t.Context(), id("another"), r.Keys()[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a document of another operation was taken: %v", err)
	}
	if len(*warnings) != 1 || !strings.Contains((*warnings)[0], "out of order") || broken.asked != 1 {
		t.Errorf("asked %d times, warned %q", broken.asked, *warnings)
	}
}

// Only what is part of the result is shared, unless all is to be; what is there already is not shared again.
func TestShare(t *testing.T) {
	blob := packedLayer(t, "content")
	for _, c := range []struct {
		max, shipped bool
		want         int
	}{{false, false, 0}, {false, true, 2}, {true, false, 2}} {
		shared := newFakeShared()
		tiers, _ := newTiers(t, blob)
		tiers.To = []*Target{NewTarget(shared, TargetOptions{Name: "shared", Max: c.max})}
		r := solver.Record{Op: id("op"), Content: "content", Definition: "definition", Layer: blob, Shipped: c.shipped}
		tiers.Use(t.Context(), r)
		tiers.Use(t.Context(), r)
		if len(shared.documents) != c.want {
			t.Errorf("max %t, shipped %t: %d keys are shared, want %d", c.max, c.shipped, len(shared.documents), c.want)
		}
	}
}

// A target that cannot be written to is a warning, or an error if it is required and nothing else went wrong.
func TestTargetFails(t *testing.T) {
	blob := packedLayer(t, "content")
	other := errors.New("the build failed")
	for _, c := range []struct {
		required bool
		build    error
		fails    bool
	}{{false, nil, false}, {true, nil, true}, {true, other, true}} {
		shared := newFakeShared()
		shared.broken = errors.New("out of order")
		tiers, warnings := newTiers(t, blob)
		tiers.To = []*Target{NewTarget(shared, TargetOptions{Name: "shared", Max: true, Required: c.required})}
		for _, text := range []string{"a", "b"} {
			tiers.Use(t.Context(), solver.Record{Op: id("op"), Content: text, Layer: blob})
		}
		err := tiers.Finish(t.Context(), c.build)
		if (err != nil) != c.fails || c.build != nil && !errors.Is(err, c.build) {
			t.Errorf("%+v: got %v", c, err)
		}
		if told := len(*warnings) == 1; told == (c.required && c.build == nil) {
			t.Errorf("%+v: warned %q", c, *warnings)
		}
		if shared.asked != 1 {
			t.Errorf("%+v: it was tried %d times", c, shared.asked)
		}
	}
}

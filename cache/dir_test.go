//go:build linux

package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/solver"
)

// heldLayers are the layers that a test has.
type heldLayers map[v1.Hash]v1.Layer

func (h heldLayers) Layer(_ context.Context, content v1.Hash) (v1.Layer, error) {
	if l, ok := h[content]; ok {
		return l, nil
	}
	return nil, fs.ErrNotExist
}

func (h heldLayers) Keep(l v1.Layer) error {
	id, err := l.DiffID()
	if _, ok := h[id]; !ok && err == nil {
		return fs.ErrNotExist
	}
	return err
}

func (h heldLayers) Lend(_ context.Context, blob v1.Layer, _ Traits) (v1.Layer, error) {
	return blob, nil
}

func (h heldLayers) Traits(l v1.Layer) (t Traits, err error) {
	t.Content, err = l.DiffID()
	return t, err
}

func id(s string) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hexSum([]byte(s))}
}

func newDir(t *testing.T) (*Dir, v1.Layer) {
	t.Helper()
	l := static.NewLayer([]byte("content"), types.OCIUncompressedLayer)
	content, err := l.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	return &Dir{Path: t.TempDir(), Temporary: t.TempDir(), Layers: heldLayers{content: l}}, l
}

// A record comes back as it was put under both of its keys, also one with an input that is not made of layers,
// as every COPY from a context has.
func TestRecord(t *testing.T) {
	d, l := newDir(t)
	want := solver.Record{
		Op: id("op"), Content: "by content\n", Definition: "by definition\n", Inputs: []v1.Hash{id("base"), {}}, Layer: l, Step: "RUN x",
	}
	if d.Known(t.Context(), want.Op) {
		t.Error("the operation is known before there is a record")
	}
	if err := d.Put(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	for _, key := range want.Keys() {
		got, err := d.Get(t.Context(), want.Op, key)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if !d.Known(t.Context(), want.Op) {
		t.Error("the operation is not known")
	}
}

// What a shared cache said is only believed by builds that read it. A step that ran on such results is as good
// as any by its content, but not by its definition.
func TestOrigins(t *testing.T) {
	d, l := newDir(t)
	borrowed := solver.Record{Op: id("op"), Definition: "borrowed", Layer: l, Origins: []string{"a"}}
	ran := solver.Record{Op: id("op"), Content: "content", Definition: "definition", Layer: l, Below: []string{"a", "a"}}
	for _, r := range []solver.Record{borrowed, ran} {
		if err := d.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		trusted []string
		want    map[string]bool
	}{
		{nil, map[string]bool{"content": true}},
		{[]string{"b"}, map[string]bool{"content": true}},
		{[]string{"b", "a"}, map[string]bool{"content": true, "definition": true, "borrowed": true}},
	} {
		d.Trusted = c.trusted
		for _, text := range []string{"content", "definition", "borrowed"} {
			if _, err := d.Get(t.Context(), id("op"), id(text)); (err == nil) != c.want[text] {
				t.Errorf("trusting %q, the record %q: %v", c.trusted, text, err)
			}
		}
	}
}

// Whatever happened to a record's file, it is a miss and never another record.
func TestDamagedRecord(t *testing.T) {
	d, l := newDir(t)
	r := solver.Record{Op: id("op"), Content: "text", Layer: l}
	name := filepath.Join(d.opPath(r.Op), id("text").Hex)
	if err := d.Put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		flipped := append([]byte{}, whole...)
		flipped[i] ^= 4
		for _, damaged := range [][]byte{flipped, whole[:i]} {
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Get(t.Context(), r.Op, id("text")); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("byte %d: got %v", i, err)
			}
		}
	}
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(t.Context(), r.Op, id("text")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory: got %v", err)
	}
}

// A layer that cannot be kept is forgotten, and a record whose layer is gone is a miss.
func TestLayerGone(t *testing.T) {
	d, l := newDir(t)
	r := solver.Record{Op: id("op"), Content: "text", Layer: l}
	if err := d.Put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	d.Layers = heldLayers{}
	if _, err := d.Get(t.Context(), r.Op, id("text")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	other := solver.Record{Op: id("other"), Content: "x", Layer: l}
	if err := d.Put(t.Context(), other); err != nil {
		t.Error(err)
	}
	if d.Known(t.Context(), other.Op) {
		t.Error("a layer that cannot be kept was remembered")
	}
}

// A second holder waits until the first lets go, or until it is canceled.
func TestLock(t *testing.T) {
	d, _ := newDir(t)
	unlock, waited, err := d.Lock(t.Context(), id("key"))
	if err != nil || waited {
		t.Fatal(err, waited)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, _, err := d.Lock(ctx, id("key")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	got := make(chan error)
	go func() {
		again, _, err := d.Lock(t.Context(), id("key"))
		if err == nil {
			again()
		}
		got <- err
	}()
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// A record that was not finished when its writer was killed is not a damaged one.
func TestCheckOfUnfinishedRecord(t *testing.T) {
	d, l := newDir(t)
	if err := d.Put(t.Context(), solver.Record{Op: id("op"), Content: "by content\n", Layer: l}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.opPath(id("op")), "."+id("key").Hex+".new-1"), []byte("hal"), 0o600); err != nil {
		t.Fatal(err)
	}
	count, err := Check(d.Path, func(name string, problem error) error { return fmt.Errorf("%s: %w", name, problem) })
	if count != 1 || err != nil {
		t.Errorf("checked %d records: %v", count, err)
	}
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// sharedCache is a shared cache that can be read and written.
type sharedCache interface {
	cache.Remote
	cache.Writer
}

// openCache opens a shared cache and returns it with its name.
func (b *build) openCache(s cacheSpec) (c sharedCache, name string, err error) {
	switch s.kind {
	case cacheRegistry:
		c, err = cache.NewRegistry(b.client, s.fields["ref"])
		return c, "registry:" + s.fields["ref"], err
	case cacheLocal, cacheS3, cacheGHA, cacheInline:
	}
	return nil, "", fmt.Errorf("a cache of type %s cannot be opened", s.kind)
}

// openCaches opens the cache of the build: that of this machine and the shared ones.
func (b *build) openCaches() error {
	t := &cache.Tiers{
		Dir: &cache.Dir{Path: b.path, Layers: storeLayers{b.store}},
		Warn: func(text string) {
			b.display.Emit(solver.Event{Time: time.Now(), Action: solver.ActionWarning, Text: text})
		},
	}
	for _, s := range b.cacheFrom {
		c, name, err := b.openCache(s)
		if err != nil {
			return fmt.Errorf("--cache-from: %w", err)
		}
		t.From = append(t.From, &cache.Source{Name: name, Remote: c})
		t.Trusted = append(t.Trusted, name)
	}
	for _, s := range b.cacheTo {
		c, name, err := b.openCache(s)
		if err != nil {
			return fmt.Errorf("--cache-to: %w", err)
		}
		t.To = append(t.To, cache.NewTarget(c, cache.TargetOptions{Name: name, Max: s.max, Required: s.required}))
	}
	b.cache = t
	return nil
}

// damagedCaches returns the sources whose layers could not be used, if that is why a build failed.
func damagedCaches(t *cache.Tiers, err error) (damaged []*cache.Source) {
	var reading *cache.LayerError
	isReading, unknown := errors.As(err, &reading), errors.Is(err, snapshot.ErrContent)
	for _, s := range t.From {
		if unknown || isReading && s.Name == reading.Origin {
			damaged = append(damaged, s)
		}
	}
	return damaged
}

// storeLayers finds layers in the store, for the cache.
type storeLayers struct {
	store *snapshot.Store
}

// Layer implements cache.Layers.
func (s storeLayers) Layer(ctx context.Context, content v1.Hash) (v1.Layer, error) {
	return s.store.Stored(ctx, content)
}

// Keep implements cache.Layers.
func (s storeLayers) Keep(l v1.Layer) error {
	ours, err := storeLayer(l)
	if err != nil {
		return err
	}
	return ours.Keep()
}

// Lend implements cache.Layers.
func (s storeLayers) Lend(ctx context.Context, blob v1.Layer, t cache.Traits) (v1.Layer, error) {
	form := snapshot.Unix
	if t.Windows {
		form = snapshot.Windows
	}
	return s.store.Lend(ctx, snapshot.Lent{Blob: blob, Content: t.Content, Form: form, Created: t.Created})
}

// Traits implements cache.Layers.
func (s storeLayers) Traits(l v1.Layer) (t cache.Traits, err error) {
	ours, err := storeLayer(l)
	if err != nil {
		return t, err
	}
	t.Windows = ours.Form() == snapshot.Windows
	if t.Content, err = ours.ContentID(); err != nil {
		return t, err
	}
	t.Created, err = ours.Created()
	return t, err
}

func storeLayer(l v1.Layer) (*snapshot.Layer, error) {
	if ours, ok := l.(*snapshot.Layer); ok {
		return ours, nil
	}
	return nil, fmt.Errorf("a %T is not a layer of the store", l)
}

// cacheDir is the absolute path that a cache of type local names.
func (s *cacheSpec) cacheDir() (string, error) {
	return filepath.Abs(first(s.fields["dest"], s.fields["src"]))
}

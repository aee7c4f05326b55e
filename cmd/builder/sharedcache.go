//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// sharedCache is a shared cache that can be read and written.
type sharedCache interface {
	cache.Remote
	cache.Writer
	cache.Mounts
}

// openCaches opens the cache of the build: that of this machine and the shared ones.
func (b *build) openCaches(ctx context.Context) error {
	b.cache = &cache.Tiers{
		Dir: &cache.Dir{Path: b.path, Temporary: b.store.Temporary(), Layers: storeLayers{b.store}},
		Warn: func(text string) {
			b.display.Emit(solver.Event{Time: time.Now(), Action: solver.ActionWarning, Text: text})
		},
	}
	for _, s := range b.cacheFrom {
		if err := b.openSource(ctx, s); err != nil {
			return fmt.Errorf("--cache-from: %w", err)
		}
	}
	for _, s := range b.cacheTo {
		if err := b.openTarget(s); err != nil {
			return fmt.Errorf("--cache-to: %w", err)
		}
	}
	if on, err := strconv.ParseBool(b.buildArgs["BUILDKIT_INLINE_CACHE"]); err == nil && on && b.inline == nil {
		return b.openTarget(cacheSpec{kind: cacheInline})
	}
	return nil
}

func (b *build) openSource(ctx context.Context, s cacheSpec) error {
	c, name, err := b.openCache(s)
	if err != nil {
		return err
	}
	source := &cache.Source{Name: name, Remote: c}
	if s.mounts {
		source.Mounts = c
	}
	b.cache.From = append(b.cache.From, source)
	b.cache.Trusted = append(b.cache.Trusted, name)
	if s.kind == cacheRegistry { // what is named may also be an image that carries a cache
		image := cache.NewImage(func() ([]*registry.Image, error) { return b.imagesNamed(ctx, s.fields["ref"]) })
		b.cache.From = append(b.cache.From, &cache.Source{Name: name, Remote: image})
	}
	return nil
}

// imagesNamed resolves a name for all platforms of the build. A name that is of no image is fs.ErrNotExist.
func (b *build) imagesNamed(ctx context.Context, ref string) ([]*registry.Image, error) {
	named, err := name.ParseReference(ref, name.WithDefaultTag(cache.DefaultPrefix))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cache.Patience)
	defer cancel()
	var images []*registry.Image
	for _, p := range b.platforms {
		image, err := b.client.Resolve(ctx, named, choose(p))
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

func (b *build) openTarget(s cacheSpec) error {
	o := cache.TargetOptions{Name: string(s.kind), Max: s.max, Required: s.required}
	if s.kind == cacheInline {
		b.inline = &cache.Inline{}
		b.cache.To = append(b.cache.To, cache.NewTarget(b.inline, o))
		return nil
	}
	c, name, err := b.openCache(s)
	if err != nil {
		return err
	}
	o.Name = name
	if s.mounts {
		o.Mounts = c
	}
	b.cache.To = append(b.cache.To, cache.NewTarget(c, o))
	return nil
}

// openCache opens a shared cache and returns it with its name, which is the same for who reads and who writes it.
func (b *build) openCache(s cacheSpec) (c sharedCache, name string, err error) { //nolint:ireturn // one of several
	switch s.kind {
	case cacheRegistry:
		c, err = cache.NewRegistry(b.client, s.fields["ref"])
		return c, "registry " + s.fields["ref"], err
	case cacheLocal:
		dir, err := filepath.Abs(first(s.fields["dest"], s.fields["src"]))
		return cache.NewLayout(dir), "local " + dir, err
	case cacheS3:
		bucket, err := openS3(s.fields)
		return &cache.Objects{Bucket: bucket}, "s3 " + s.fields["bucket"] + "/" + s3Prefix(s.fields), err
	case cacheGHA:
		bucket, err := openGHA(s.fields)
		return &cache.Objects{Bucket: bucket}, "gha " + ghaScope(s.fields), err
	case cacheInline:
	}
	return nil, "", fmt.Errorf("a cache of type %s cannot be opened", s.kind)
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
	if t.Dated {
		form = form.Dated()
	}
	return s.store.Lend(ctx, snapshot.Lent{Blob: blob, Content: t.Content, Form: form, Created: t.Created})
}

// Traits implements cache.Layers.
func (s storeLayers) Traits(l v1.Layer) (t cache.Traits, err error) {
	ours, err := storeLayer(l)
	if err != nil {
		return t, err
	}
	t.Windows, t.Dated = ours.Form().IsWindows(), ours.Form().IsDated()
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

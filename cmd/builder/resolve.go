//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/solver"
)

// resolver finds out what names in a Dockerfile stand for.
type resolver struct {
	client *registry.Client
	// images holds what was resolved, by full name with digest.
	images sync.Map
}

// Image implements frontend.Resolver.
func (r *resolver) Image(ctx context.Context, ref string, p v1.Platform) (frontend.Base, error) {
	named, err := name.ParseReference(ref)
	if err != nil {
		return frontend.Base{}, err
	}
	image, err := r.client.Resolve(ctx, named, choose(p))
	if err != nil {
		return frontend.Base{}, err
	}
	var base frontend.Base
	if err := json.Unmarshal(image.RawConfig, &base.Config); err != nil {
		return base, fmt.Errorf("reading the config of %s: %w", ref, err)
	}
	base.Image = solver.Image{Ref: image.Ref.String(), Digest: image.Manifest.Descriptor.Digest, DiffIDs: image.Config.RootFS.DiffIDs}
	r.images.Store(base.Image.Ref, image)
	return base, nil
}

// choose picks the entry of an index that is for a platform.
func choose(p v1.Platform) registry.Choose {
	return func(index *v1.IndexManifest) (v1.Descriptor, error) {
		d, ok := platforms.Best(p, index.Manifests)
		if !ok {
			return d, fmt.Errorf("no match for platform in manifest: not found: it has no image for %s", platforms.FormatAll(p))
		}
		return d, nil
	}
}

// Layers implements ops.Images.
func (r *resolver) Layers(ctx context.Context, op solver.Image) ([]v1.Layer, error) {
	known, ok := r.images.Load(op.Ref)
	if !ok {
		return nil, fmt.Errorf("the image %s was not resolved", op.Ref)
	}
	image, ok := known.(*registry.Image)
	if !ok {
		return nil, errors.New("unknown kind of image")
	}
	return image.Layers(ctx), nil
}

// Context implements frontend.Resolver.
func (r *resolver) Context(_ context.Context, name string, _ v1.Platform) (frontend.Context, error) {
	return frontend.Context{}, fmt.Errorf("the context %s", name)
}

// Commit implements frontend.Resolver.
func (r *resolver) Commit(_ context.Context, g frontend.GitRef) (string, error) {
	return "", fmt.Errorf("the repository %s", g.Remote)
}

// Epoch implements frontend.Resolver.
func (r *resolver) Epoch(context.Context, *solver.Vertex) (*int64, error) { return nil, nil }

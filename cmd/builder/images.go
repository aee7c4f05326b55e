//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/solver"
)

// images remembers the images that names were resolved to, until their layers are asked for.
type images struct {
	byRef sync.Map // solver.Image.Ref → *registry.Image
}

// add remembers an image and returns it as a base.
func (s *images) add(op solver.Image, image *registry.Image) (frontend.Base, error) {
	base := frontend.Base{Image: op}
	if err := json.Unmarshal(image.RawConfig, &base.Config); err != nil {
		return base, fmt.Errorf("reading the config of %s: %w", op.Ref, err)
	}
	s.byRef.Store(op.Ref, image)
	return base, nil
}

// Layers implements ops.Images.
func (s *images) Layers(ctx context.Context, op solver.Image) ([]v1.Layer, error) {
	known, _ := s.byRef.Load(op.Ref)
	image, ok := known.(*registry.Image)
	if !ok {
		return nil, fmt.Errorf("the image %s was not resolved", op.Ref)
	}
	return image.Layers(ctx), nil
}

// Config implements ops.Images.
func (s *images) Config(op solver.Image) []byte {
	known, _ := s.byRef.Load(op.Ref)
	if image, ok := known.(*registry.Image); ok {
		return image.RawConfig
	}
	return nil
}

// descriptors are how the manifest of an image describes its layers.
func (s *images) descriptors(op solver.Image) []v1.Descriptor {
	known, _ := s.byRef.Load(op.Ref)
	if image, ok := known.(*registry.Image); ok {
		return image.Manifest.Image.Layers
	}
	return nil
}

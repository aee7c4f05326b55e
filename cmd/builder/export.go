//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/solver"
)

// export makes images of the trees and gives them to the outputs.
func (b *build) export(ctx context.Context, trees []solver.Tree) error {
	var result exporter.Result
	for i, t := range trees {
		image := b.images[i]
		made, err := exporter.Image(image.Config, t.Layers, b.imageOptions(image))
		if err != nil {
			return fmt.Errorf("making the image: %w", err)
		}
		result.Images = append(result.Images, exporter.Built{Image: made, Platform: image.Platform})
	}
	if len(result.Images) > 1 {
		index, err := exporter.Index(result.Images, exporter.IndexOptions{})
		if err != nil {
			return fmt.Errorf("making the index: %w", err)
		}
		result.Index = index
	}
	var summary display.Summary
	var names []string
	for i, o := range b.outputs {
		written, err := o.Write(ctx, result)
		if err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		summary.Outputs = append(summary.Outputs, b.buildOptions.outputs[i].describe(written)...)
		names = append(names, written.Names...)
		for _, n := range written.Notes {
			b.display.Emit(solver.Event{Time: time.Now(), Action: solver.ActionNotice, Text: n})
		}
	}
	return b.finish(result, summary, names)
}

func (b *build) imageOptions(i *frontend.Image) exporter.Options {
	o := exporter.Options{}
	if i.Epoch != nil {
		t := time.Unix(*i.Epoch, 0).UTC()
		o.Epoch = &t
	}
	if i.Base != nil {
		o.BaseHistory = len(i.Base.Config.History)
	}
	for _, spec := range b.buildOptions.outputs {
		o.DockerTypes = o.DockerTypes || spec.dockerTypes
	}
	return o
}

// describe says for the summary where an output has put the result.
func (spec *outputSpec) describe(w exporter.Written) []string {
	switch spec.kind {
	case outputImage:
		var lines []string
		for _, n := range w.Names {
			lines = append(lines, "pushed "+n)
		}
		return lines
	case outputOCI, outputDocker, outputLocal, outputTar:
		return []string{"wrote " + spec.dest}
	case outputLoad:
		return []string{"loaded"}
	case outputCacheOnly:
	}
	return nil
}

// finish tells what was built.
func (b *build) finish(result exporter.Result, summary display.Summary, names []string) error {
	for _, built := range result.Images {
		digest, err := built.Image.Digest()
		if err != nil {
			return err
		}
		size, err := imageSize(built.Image)
		if err != nil {
			return err
		}
		summary.Images = append(summary.Images, display.Image{Platform: built.Platform.String(), Digest: digest.String(), Size: size})
	}
	if result.Index != nil {
		digest, err := result.Index.Digest()
		if err != nil {
			return err
		}
		summary.Index = digest.String()
	}
	id, err := exporter.ImageID(result)
	if err != nil {
		return err
	}
	if b.iidFile != "" {
		if err := os.WriteFile(b.iidFile, []byte(id), 0o644); err != nil { //nolint:gosec // for others to read, as docker's
			return err
		}
	}
	_ = names
	b.summary, b.id = summary, id
	return nil
}

// imageSize is what an image weighs in a registry.
func imageSize(i v1.Image) (int64, error) {
	m, err := i.Manifest()
	if err != nil {
		return 0, err
	}
	size := m.Config.Size
	for _, l := range m.Layers {
		size += l.Size
	}
	return size, nil
}

// fail reports an error and returns it as reported.
func (b *build) fail(ctx context.Context, err error) error {
	var vertex *solver.VertexError
	var dockerfile *frontend.Error
	f := display.Failure{Message: err.Error()}
	switch {
	case ctx.Err() != nil:
		f.Message = context.Cause(ctx).Error()
		err = context.Cause(ctx)
	case errors.As(err, &vertex):
		f.Vertex = vertex.Vertex.Digest().String()
		f.Excerpt = frontend.Excerpt(b.source.dockerfile, vertex.Vertex.Step.Location)
		f.Message = vertex.Err.Error()
		if l := vertex.Vertex.Step.Location; l.Start > 0 {
			f.Message = fmt.Sprintf("%s:%d: %s", l.File, l.Start, vertex.Error())
		}
	case errors.As(err, &dockerfile):
		f.Excerpt = dockerfile.Excerpt()
	}
	b.display.Fail(f)
	return &reportedError{err}
}

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/wholefile"
)

// export makes images of the trees and gives them to the outputs.
func (b *build) export(ctx context.Context, trees []solver.Tree) error {
	defer b.trace.phase("export")()
	if b.squash {
		if err := b.squashAll(ctx, trees); err != nil {
			return fmt.Errorf("squashing layers: %w", err)
		}
	}
	if b.verify != nil {
		return b.compare(ctx, trees)
	}
	if err := b.fit(trees); err != nil {
		return err
	}
	var all []exporter.Written
	for i := range b.outputs {
		out := &b.outputs[i]
		result, err := b.resultFor(ctx, out, trees)
		if err != nil {
			return err
		}
		written, err := out.to.Write(ctx, result)
		if err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		all = append(all, written)
		b.summary.Outputs = append(b.summary.Outputs, out.describe(written)...)
		for _, n := range written.Notes {
			b.notice(n)
		}
	}
	return b.conclude(ctx, trees, all)
}

// resultFor makes what an output is given: images, or only their layers if it writes no image.
func (b *build) resultFor(ctx context.Context, out *output, trees []solver.Tree) (exporter.Result, error) {
	if out.ships() {
		return b.result(ctx, out.spec, trees)
	}
	var files exporter.Result
	for i, t := range trees {
		built := exporter.Built{Layers: t.Layers, Platform: b.images[i].Platform, Epoch: out.spec.epochFor(b.images[i])}
		if b.attest.asked(out.spec) {
			made, err := b.image(out.spec, b.images[i], t)
			if err == nil {
				built.Statements, err = b.statements(ctx, i, made, t, out.spec)
			}
			if err != nil {
				return files, fmt.Errorf("attesting the image: %w", err)
			}
		}
		files.Images = append(files.Images, built)
	}
	return files, nil
}

// result makes the images that an output is given.
func (b *build) result(ctx context.Context, spec *outputSpec, trees []solver.Tree) (exporter.Result, error) {
	var built []exporter.Built
	for i, t := range trees {
		image := b.images[i]
		made, err := b.image(spec, image, t)
		if err != nil {
			return exporter.Result{}, fmt.Errorf("making the image: %w", err)
		}
		statements, err := b.statements(ctx, i, made, t, spec)
		if err != nil {
			return exporter.Result{}, fmt.Errorf("attesting the image: %w", err)
		}
		built = append(built, exporter.Built{
			Image: made, Platform: image.Platform, Annotations: spec.annotations.of(manifestDescriptor, image.Platform),
			Statements: statements,
		})
	}
	result, err := exporter.NewResult(built, exporter.IndexOptions{
		DockerTypes: spec.dockerTypes, Annotations: spec.annotations.of(wholeIndex, v1.Platform{}),
		DescriptorAnnotations: spec.annotations.of(indexDescriptor, v1.Platform{}), Attestations: spec.attestations,
	})
	if err != nil {
		return result, fmt.Errorf("making the index: %w", err)
	}
	return result, nil
}

func (b *build) image(spec *outputSpec, image *frontend.Image, t solver.Tree) (v1.Image, error) {
	o := exporter.Options{
		DockerTypes: spec.dockerTypes, NonDistributable: spec.nonDistributable, Epoch: spec.epochFor(image),
		Annotations: spec.annotations.of(manifest, image.Platform),
	}
	if image.Base != nil {
		o.BaseHistory = len(image.Base.Config.History)
	}
	layers, err := spec.compression.packAll(b.store, t.Layers)
	if err != nil {
		return nil, err
	}
	if b.inline != nil {
		field, err := b.inline.Field(layers)
		if err != nil {
			return nil, err
		}
		o.Fields = map[string]json.RawMessage{cache.InlineField: field}
	}
	return exporter.Image(image.Config, layers, o)
}

// named reports whether the image is to be named even if it goes nowhere.
func (b *build) named() bool { return b.iidFile != "" || b.quiet }

// conclude tells what was built.
func (b *build) conclude(ctx context.Context, trees []solver.Tree, written []exporter.Written) error {
	spec := &outputSpec{}
	ships := false
	for i := range b.outputs {
		if b.outputs[i].ships() && !ships {
			ships, spec = true, b.outputs[i].spec
		}
	}
	if !ships && !b.named() {
		if len(b.outputs) == 0 {
			b.notice("nothing was asked for but the build itself: -t pushes the result, --load and --output put it elsewhere")
		}
		return b.writeMetadata(exporter.Result{}, written)
	}
	result, err := b.result(ctx, spec, trees)
	if err != nil {
		return err
	}
	if b.id, err = exporter.ImageID(result); err != nil {
		return err
	}
	if err := b.summarize(result); err != nil {
		return err
	}
	if b.iidFile != "" {
		if err := writeFile(b.iidFile, []byte(b.id)); err != nil {
			return fmt.Errorf("--iidfile: %w", err)
		}
	}
	return b.writeMetadata(result, written)
}

// summarize fills in the summary's images.
func (b *build) summarize(result exporter.Result) error {
	for _, built := range result.Images {
		digest, err := built.Image.Digest()
		if err != nil {
			return err
		}
		size, err := imageSize(built.Image)
		if err != nil {
			return err
		}
		b.summary.Images = append(b.summary.Images, display.Image{Platform: built.Platform.String(), Digest: digest.String(), Size: size})
	}
	if result.Index == nil {
		return nil
	}
	digest, err := result.Index.Digest()
	b.summary.Index = digest.String()
	return err
}

// imageSize is what an image weighs in a registry, in bytes.
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

// writeMetadata writes --metadata-file.
func (b *build) writeMetadata(result exporter.Result, written []exporter.Written) error {
	if b.metadataFile == "" {
		return nil
	}
	m, err := exporter.Metadata(result, written)
	if err != nil {
		return err
	}
	maps.Copy(m, b.provenances())
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(b.metadataFile, append(text, '\n')); err != nil {
		return fmt.Errorf("--metadata-file: %w", err)
	}
	return nil
}

// writeFile writes a file for others to read so that it appears whole. What is not a regular file, such as
// /dev/stdout, is written to.
func writeFile(name string, content []byte) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(name, content, 0o644) //nolint:gosec // it is there already
	}
	return wholefile.Write(name, 0o644, content)
}

//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// preset is what a service that runs containers takes: --for. What is asked for and would not be taken is refused
// with a reason.
type preset struct {
	name, service string
	// single: it takes a single image and no index.
	single bool
	// platforms are those it runs, as OS/ARCHITECTURE; needs is the one that an index must have. Empty is any.
	platforms []string
	needs     string
	// compression is what layers get if nothing is asked for, compressions are those it takes.
	compression  snapshot.CompressionKind
	compressions []snapshot.CompressionKind
	// dockerTypes are used, because old versions know no others.
	dockerTypes bool
	// largest is how many bytes the files of all layers may have, 0 if there is no bound.
	largest int64
}

// presets are the services that are known. docs/OUTPUTS.md names where the services say so.
func presets() []preset {
	gzip := []snapshot.CompressionKind{snapshot.Gzip}
	both := []snapshot.CompressionKind{snapshot.Gzip, snapshot.Zstd}
	lazy := []snapshot.CompressionKind{snapshot.Gzip, snapshot.Zstd, snapshot.EStargz}
	linux := []string{"linux/amd64", "linux/arm64"}
	aws := append([]string{"windows/amd64"}, linux...)
	return []preset{
		{name: "lambda", service: "AWS Lambda", single: true, platforms: linux, compression: snapshot.Gzip, compressions: gzip, largest: 10 << 30},
		{name: "ecs", service: "Amazon ECS", platforms: aws, compression: snapshot.Gzip, compressions: lazy},
		{name: "fargate", service: "AWS Fargate", platforms: aws, compression: snapshot.Zstd, compressions: lazy, largest: 200 << 30},
		{name: "cloudrun", service: "Cloud Run", needs: "linux/amd64", compression: snapshot.Gzip, compressions: both},
		{name: "kubernetes", service: "Kubernetes", compression: snapshot.Gzip, compressions: lazy},
		{name: "docker", service: "Docker of any age", compression: snapshot.Gzip, compressions: gzip, dockerTypes: true},
	}
}

// readPreset makes the outputs what --for asks for.
func (o *buildOptions) readPreset() error {
	if o.preset == "" {
		return nil
	}
	known := presets()
	i := slices.IndexFunc(known, func(p preset) bool { return p.name == o.preset })
	if i < 0 {
		var names []string
		for _, p := range known {
			names = append(names, p.name)
		}
		return fmt.Errorf("--for=%s: it must be one of %s", o.preset, strings.Join(names, ", "))
	}
	if err := known[i].takes(o.platforms); err != nil {
		return fmt.Errorf("--for=%s: %w", o.preset, err)
	}
	o.service = &known[i]
	for n := range o.outputs {
		if err := known[i].apply(&o.outputs[n]); err != nil {
			return fmt.Errorf("--for=%s: %w", o.preset, err)
		}
	}
	return nil
}

// takes checks the platforms that are built for.
func (p *preset) takes(list []v1.Platform) error {
	if p.single && len(list) > 1 {
		return fmt.Errorf("%s takes an image for one platform and no index of several: build each with a tag of its own", p.service)
	}
	var names []string
	for _, platform := range list {
		names = append(names, platform.OS+"/"+platform.Architecture)
		if p.platforms != nil && !slices.Contains(p.platforms, platform.OS+"/"+platform.Architecture) {
			return fmt.Errorf("%s does not run %s, only %s", p.service, platforms.FormatAll(platform), strings.Join(p.platforms, " and "))
		}
	}
	if p.needs != "" && !slices.Contains(names, p.needs) {
		return fmt.Errorf("%s runs %s, and this is for %s", p.service, p.needs, strings.Join(names, " and "))
	}
	return nil
}

// apply sets what was not asked for otherwise.
func (p *preset) apply(spec *outputSpec) error {
	if spec.kind == outputLocal || spec.kind == outputTar {
		return nil
	}
	for _, on := range []annotated{wholeIndex, indexDescriptor} {
		if p.single && slices.ContainsFunc(spec.annotations, func(a annotation) bool { return a.on == on }) {
			return fmt.Errorf("%s takes no index that could be annotated", p.service)
		}
	}
	if p.single && spec.attestations == exporter.InIndex {
		return fmt.Errorf("%s takes no index, which attest=index would make: attestations can be referrers", p.service)
	}
	way := spec.compression.way
	if way != nil && !slices.Contains(p.compressions, way.Kind) {
		return fmt.Errorf("%s is not known to take layers compressed with %s", p.service, way.Kind)
	}
	if p.dockerTypes && len(spec.annotations) == 0 {
		spec.dockerTypes = true
	}
	if way == nil && p.compression != snapshot.Gzip {
		spec.compression.kind = string(p.compression)
		return spec.compression.check()
	}
	return nil
}

// fits checks the sizes of the layers of an image.
func (p *preset) fits(layers []int64) error {
	var size int64
	for _, l := range layers {
		size += l
	}
	if p.largest > 0 && size > p.largest {
		return fmt.Errorf("%s takes images of at most %d GiB uncompressed, and the files of this one have %.1f: leave out what is not needed at run time",
			p.service, p.largest>>30, float64(size)/(1<<30))
	}
	return nil
}

// fit checks the sizes of the images that were built. Layers of a base that were not fetched count with what they have
// compressed.
func (b *build) fit(trees []solver.Tree) error {
	if b.service == nil || b.service.largest == 0 {
		return nil
	}
	for _, t := range trees {
		sizes := make([]int64, len(t.Layers))
		for i, l := range t.Layers {
			measure := l.Size
			if ours, ok := l.(*snapshot.Layer); ok {
				measure = ours.MinSize
			}
			var err error
			if sizes[i], err = measure(); err != nil {
				return err
			}
		}
		if err := b.service.fits(sizes); err != nil {
			return fmt.Errorf("--for=%s: %w", b.preset, err)
		}
	}
	return nil
}

// fitBases checks how the layers of the bases are compressed, which an image has as they are.
func (b *build) fitBases() error {
	kept := func(out output) bool { return out.ships() && !out.spec.compression.force }
	if b.service == nil || !slices.ContainsFunc(b.outputs, kept) {
		return nil
	}
	for _, image := range b.images {
		if image.Base == nil {
			continue
		}
		for i, l := range b.resolved.descriptors(image.Base.Image) {
			if kind := compressionOf(l.MediaType); !slices.Contains(b.service.compressions, kind) {
				return fmt.Errorf("--for=%s: layer %d of the base %s comes as %s, which %s is not known to take: %s",
					b.preset, i+1, image.Base.Image.Ref, kind, b.service.service, "the output option force-compression=true compresses it anew")
			}
		}
	}
	return nil
}

// compressionOf is how a layer of a media type is compressed. One of eStargz is one of gzip to who does not know it.
func compressionOf(media types.MediaType) snapshot.CompressionKind {
	switch text := string(media); {
	case strings.HasSuffix(text, "+zstd"):
		return snapshot.Zstd
	case strings.HasSuffix(text, "gzip"):
		return snapshot.Gzip
	}
	return snapshot.Uncompressed
}

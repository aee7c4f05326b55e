//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/registry"
)

// output is a place that the result goes to.
type output struct {
	spec *outputSpec
	to   exporter.Output
	// registry is to if that is a registry; then pushers are its repositories.
	registry *exporter.Registry
	pushers  []*registry.Pusher
}

// openOutputs opens what --output, --push and --load ask for.
func (b *build) openOutputs() error {
	for i := range b.buildOptions.outputs {
		out, err := b.openOutput(&b.buildOptions.outputs[i])
		if err != nil {
			return &usageError{err}
		}
		b.outputs = append(b.outputs, out)
	}
	return nil
}

func (b *build) openOutput(spec *outputSpec) (out output, err error) {
	out.spec, out.to = spec, exporter.CacheOnly{}
	switch spec.kind {
	case outputImage:
		if spec.push {
			out.registry, err = exporter.NewRegistry(exporter.RegistryOptions{
				Sign: b.signing(), Attest: b.attesting(),
				Names: spec.names, ByDigest: spec.byDigest, Canonical: spec.canonical, Temp: b.store.Temporary(),
				Open: func(r name.Repository) (exporter.Pusher, error) {
					p, err := b.client.Pusher(r)
					if err != nil {
						return nil, err
					}
					out.pushers = append(out.pushers, p)
					b.closing = append(b.closing, func() error { p.Close(); return nil })
					return p, nil
				},
			})
			out.to = out.registry
		}
	case outputOCI:
		out.to = exporter.Archive{Path: spec.dest, Stream: spec.stream(), Names: spec.names}
		if spec.directory {
			out.to = exporter.Layout{Dir: spec.dest, Names: spec.names}
		}
	case outputDocker:
		out.to = exporter.Archive{Path: spec.dest, Stream: spec.stream(), Names: spec.names, Docker: true}
	case outputLocal:
		out.to = exporter.Local{Dir: spec.dest, Delete: spec.remove, Files: spec.files()}
	case outputTar:
		out.to = exporter.Tar{
			Path: spec.dest, Stream: spec.stream(), Temp: b.store.Temporary(), Files: spec.files(),
		}
	case outputLoad:
		out.to = &loader{host: b.host, names: spec.names, wanted: first(b.load, loadAny)}
	case outputCacheOnly:
	}
	return out, err
}

// files says which files an output writes.
func (spec *outputSpec) files() exporter.Files {
	return exporter.Files{Split: spec.platformSplit, Source: spec.source}
}

// stream returns standard output if that is where an output goes.
func (spec *outputSpec) stream() io.Writer {
	if spec.dest == "-" {
		return os.Stdout
	}
	return nil
}

// ships reports whether an output makes an image, rather than only its files or nothing.
func (out *output) ships() bool {
	switch out.spec.kind {
	case outputImage:
		return out.spec.push
	case outputOCI, outputDocker, outputLoad:
		return true
	case outputLocal, outputTar, outputCacheOnly:
	}
	return false
}

// takesLayers reports whether an output brings the layers of base images to this machine.
func (out output) takesLayers() bool {
	switch out.spec.kind {
	case outputOCI, outputDocker, outputLoad, outputLocal, outputTar:
		return true
	case outputImage, outputCacheOnly: // a registry has them, or gets them from another one
	}
	return false
}

// image reports whether an output takes an image, rather than its files or nothing.
func (spec *outputSpec) image() bool {
	switch spec.kind {
	case outputImage, outputOCI, outputDocker, outputLoad:
		return true
	case outputLocal, outputTar, outputCacheOnly:
	}
	return false
}

// checkOutputs finds out whether the result can be written where it is to go, before anything is run for it.
func (b *build) checkOutputs(ctx context.Context) error {
	if b.createRepo {
		if err := b.createRepositories(ctx); err != nil {
			return err
		}
	}
	var g errgroup.Group
	for _, out := range b.outputs {
		if out.registry != nil {
			b.checkRegistry(ctx, &g, out)
		}
		if dest := out.spec.dest; dest != "" && dest != "-" {
			if info, err := os.Stat(filepath.Dir(filepath.Clean(dest))); err == nil && !info.IsDir() {
				return usagef("--output: %s is not a directory", filepath.Dir(dest))
			}
		}
		if l, ok := out.to.(*loader); ok {
			g.Go(func() error { return l.find(ctx) })
		}
	}
	return g.Wait()
}

// checkRegistry lets g find out whether the repositories of an output can be written to, and what they have.
func (b *build) checkRegistry(ctx context.Context, g *errgroup.Group, out output) {
	for _, p := range out.pushers {
		if b.recalling == nil || b.destinations() > 1 { // one that refuses says so before anything is published
			g.Go(func() error { return p.Check(ctx) })
		}
		g.Go(func() error { p.Look(ctx, out.registry.Tags(p.Repository())...); return nil })
	}
	for _, r := range out.registry.Repositories() {
		g.Go(func() error { b.warnImmutable(ctx, r, out.registry.Tags(r)); return nil })
	}
}

// destinations is how many repositories the result goes to.
func (b *build) destinations() (n int) {
	for _, out := range b.outputs {
		n += len(out.pushers)
	}
	return n
}

// ready returns what takes layers as soon as they are known to be part of the result; nil if nothing does.
func (b *build) ready(ctx context.Context) func(v1.Layer) {
	var ships []output
	for _, out := range b.outputs {
		if out.ships() {
			ships = append(ships, out)
		}
	}
	switch {
	case (ships == nil || b.squash) && len(b.cacheTo) > 0:
		return func(l v1.Layer) { go func() { _, _ = l.Digest() }() } // begins to pack it, because it will be shared
	case ships == nil || b.squash:
		return nil
	}
	return func(l v1.Layer) {
		for _, out := range ships {
			packed, err := out.spec.compression.pack(b.store, l)
			switch {
			case err != nil: // is told again when the image is made
			case out.registry != nil:
				out.registry.Layer(ctx, packed)
			default:
				go func() { _, _ = packed.Digest() }() // begins to pack it; what goes wrong is told again
			}
		}
	}
}

// stopOutputs ends what ready has begun.
func (b *build) stopOutputs() {
	for _, out := range b.outputs {
		if out.registry != nil {
			out.registry.Stop()
		}
	}
}

// describe says for the summary where the result was put.
func (out *output) describe(w exporter.Written) []string {
	switch out.spec.kind {
	case outputImage:
		var lines []string
		for _, n := range w.Names {
			lines = append(lines, "pushed "+n)
		}
		return lines
	case outputOCI, outputDocker, outputLocal, outputTar:
		if out.spec.dest != "-" {
			return []string{"wrote " + out.spec.dest}
		}
	case outputLoad:
		var lines []string
		for _, n := range w.Names {
			lines = append(lines, fmt.Sprintf("loaded %s into %s", n, out.to.(*loader).engine.name)) //nolint:forcetypeassert // that is its kind
		}
		return lines
	case outputCacheOnly:
	}
	return nil
}

// epochFor returns the time of an image as the exporter takes it, nil if it is that of the build.
func (spec *outputSpec) epochFor(image *frontend.Image) *time.Time {
	seconds := spec.epoch
	if seconds == nil {
		seconds = image.Epoch
	}
	if seconds == nil {
		return nil
	}
	t := time.Unix(*seconds, 0).UTC()
	return &t
}

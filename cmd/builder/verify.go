//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/solver"
)

func newVerify() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "verify [OPTIONS] NAME CONTEXT",
		Short: "Build an image again and compare it with what a registry has",
		Long: `Build an image again, without the cache, and compare it with the one that a name in a registry stands for.

The options are those of build and must be those that the image was built with. The image is built with
--reproducible, for the time that the image says it was created, unless SOURCE_DATE_EPOCH says another. If it is not
the same, the first file that differs is named and the exit status is 1.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("verify needs two arguments, the name of an image and the context")
			}
			return verify(cmd.Context(), &f, args[0], args[1])
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// verify compares the image that a name stands for with what a context builds.
func verify(ctx context.Context, f *buildFlags, named, source string) error {
	f.noCache, f.reproducible, f.noPush = true, true, true
	ref, err := name.ParseReference(named)
	if err != nil {
		return &usageError{err}
	}
	o, err := f.options([]string{source})
	if err != nil {
		return err
	}
	o.verify = &verification{ref: ref, spec: &outputSpec{}}
	if len(o.outputs) > 0 {
		o.verify.spec = &o.outputs[0]
		o.outputs = nil
	}
	return o.run(ctx)
}

// verification is an image to compare with.
type verification struct {
	ref name.Reference
	// spec says how the image is made.
	spec *outputSpec
	// images are those for the platforms that are built.
	images []*registry.Image
}

// resolve finds the image, for each platform, and takes from it what nobody said: platforms and time.
func (v *verification) resolve(ctx context.Context, client *registry.Client, o *buildOptions) error {
	m, err := client.Manifest(ctx, v.ref)
	if err != nil {
		return err
	}
	if o.implicit && m.Index != nil {
		o.platforms, o.implicit = nil, false
		for _, d := range m.Index.Manifests {
			if described(d) {
				o.platforms = append(o.platforms, *d.Platform)
			}
		}
	}
	for _, p := range o.platforms {
		image, err := client.Resolve(ctx, v.ref, choose(p))
		if err != nil {
			return err
		}
		v.images = append(v.images, image)
	}
	if o.buildArgs[epochArg] == "" && !v.images[0].Config.Created.IsZero() {
		o.buildArgs[epochArg] = strconv.FormatInt(v.images[0].Config.Created.Unix(), 10)
	}
	return nil
}

// errDiffers: the image is not what was built, as was said.
var errDiffers = errors.New("the image is another than what is built from this context")

// compare compares the images with what was built.
func (b *build) compare(ctx context.Context, trees []solver.Tree) error {
	for i, t := range trees {
		got, err := b.image(b.verify.spec, b.images[i], t)
		if err != nil {
			return err
		}
		digest, err := got.Digest()
		if err != nil {
			return err
		}
		want := b.verify.images[i]
		if digest == want.Manifest.Descriptor.Digest {
			b.summary.Outputs = append(b.summary.Outputs, fmt.Sprintf("%s is what this context builds: %s", platforms.FormatAll(b.platforms[i]), digest))
			continue
		}
		made := exporter.Compared{Layers: t.Layers}
		if made.Config, err = got.RawConfigFile(); err != nil {
			return err
		}
		text, err := exporter.Difference(exporter.Compared{Config: want.RawConfig, Layers: want.Layers(ctx)}, made)
		if err != nil {
			return err
		}
		if text == "" {
			text = "the files and the config are the same, the manifest is another: compression, media types or annotations differ"
		}
		return fmt.Errorf("%w: %s for %s is %s and this is %s: %s", errDiffers, b.verify.ref, platforms.FormatAll(b.platforms[i]), want.Manifest.Descriptor.Digest, digest, text)
	}
	return nil
}

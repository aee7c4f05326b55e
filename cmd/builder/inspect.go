//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/registry"
)

func newInspect() *cobra.Command {
	var f registryFlags
	var raw, asJSON, provenance, bill bool
	cmd := &cobra.Command{
		Use:   "inspect [OPTIONS] NAME",
		Short: "Show what an image in a registry holds",
		Long: `Show what a name in a registry stands for: its platforms, and for each the config, the layers, what is attested of
it and whether it is signed. Attestations are found as referrers, under the tags that stand in for these, in the index
as BuildKit has them, and in cosign's envelopes. No signature is verified.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("inspect needs one argument, the name of an image")
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			ref, err := name.ParseReference(args[0])
			if err != nil {
				return &usageError{err}
			}
			client, err := f.newClient(ctx, registry.Config{}, registry.Run)
			if err != nil {
				return err
			}
			if raw {
				return printManifest(ctx, client, ref)
			}
			switch {
			case provenance:
				return printPredicates(ctx, os.Stdout, client, ref, provenanceKind)
			case bill:
				return printPredicates(ctx, os.Stdout, client, ref, billKind)
			}
			found, err := inspect(ctx, client, ref)
			if err != nil {
				return err
			}
			if err := found.summarize(ctx, client, ref.Context()); err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(os.Stdout)
				e.SetIndent("", "  ")
				return e.Encode(found)
			}
			return found.print(display.Safe(os.Stdout))
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&raw, "raw", false, "print the manifest as the registry has it")
	cmd.Flags().BoolVar(&provenance, "provenance", false, "print how the image was made, as it was attested")
	cmd.Flags().BoolVar(&bill, "sbom", false, "print what the image holds, as it was attested")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printManifest prints a manifest without a change, so that its digest can be computed.
func printManifest(ctx context.Context, client *registry.Client, ref name.Reference) error {
	m, err := client.Manifest(ctx, ref)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(m.Raw)
	return err
}

// inspected is what a name stands for.
type inspected struct {
	Name        string            `json:"name"`
	Digest      v1.Hash           `json:"digest"`
	MediaType   types.MediaType   `json:"mediaType"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// said is what is said of an index as a whole.
	said
	Images []inspectedImage `json:"images"`
	// Others are entries of an index that are neither images nor statements about them.
	Others []v1.Descriptor `json:"others,omitempty"`
}

// inspectedImage is one image of it.
type inspectedImage struct {
	Platform    string            `json:"platform"`
	Digest      v1.Hash           `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Created     time.Time         `json:"created"`
	Config      v1.Config         `json:"config"`
	Layers      []inspectedLayer  `json:"layers"`
	said
}

// inspectedAtOnce is how many images of an index are looked at, at the same time.
const inspectedAtOnce = 4

// inspectedLayer is a layer of an image, with the instruction that made it.
type inspectedLayer struct {
	Digest    v1.Hash         `json:"digest"`
	MediaType types.MediaType `json:"mediaType"`
	// Size is that of the blob, in bytes.
	Size      int64  `json:"size"`
	CreatedBy string `json:"createdBy,omitempty"`
}

// inspect finds what a name stands for and what is said of it, but reads no statement; see [inspected.summarize].
func inspect(ctx context.Context, client *registry.Client, ref name.Reference) (*inspected, error) {
	m, err := client.Manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	found := &inspected{Name: ref.String(), Digest: m.Descriptor.Digest, MediaType: m.Descriptor.MediaType}
	entries := []v1.Descriptor{m.Descriptor}
	if m.Index != nil {
		found.Annotations = m.Index.Annotations
		entries, found.Others = sortEntries(m.Index)
		if found.said, err = findSaid(ctx, client, ref.Context().Digest(found.Digest.String()), nil); err != nil {
			return nil, err
		}
	}
	found.Images = make([]inspectedImage, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inspectedAtOnce)
	for i, d := range entries {
		g.Go(func() (err error) {
			found.Images[i], err = inspectOne(ctx, client, ref.Context().Digest(d.Digest.String()), m.Index)
			return err
		})
	}
	return found, g.Wait()
}

// sortEntries returns the images of an index, and what is neither that nor a statement about one.
func sortEntries(index *v1.IndexManifest) (images, others []v1.Descriptor) {
	for _, d := range index.Manifests {
		if described(d) {
			images = append(images, d)
		}
	}
	for _, d := range index.Manifests {
		about := d.Annotations[exporter.AnnotationReference]
		if !described(d) && !slices.ContainsFunc(images, func(i v1.Descriptor) bool { return i.Digest.String() == about }) {
			others = append(others, d)
		}
	}
	return images, others
}

func inspectOne(ctx context.Context, client *registry.Client, ref name.Digest, index *v1.IndexManifest) (inspectedImage, error) {
	image, err := client.Resolve(ctx, ref, nothingToChoose)
	if err != nil {
		return inspectedImage{}, err
	}
	one := inspectImage(image)
	one.said, err = findSaid(ctx, client, image.Ref, index)
	return one, err
}

// nothingToChoose is for a reference that cannot be an index.
func nothingToChoose(*v1.IndexManifest) (v1.Descriptor, error) {
	return v1.Descriptor{}, fmt.Errorf("it is an index in an index")
}

func inspectImage(image *registry.Image) inspectedImage {
	i := inspectedImage{
		Platform: "unknown", Digest: image.Manifest.Descriptor.Digest,
		Annotations: image.Manifest.Image.Annotations, Created: image.Config.Created.Time, Config: image.Config.Config,
	}
	if p := image.Config.Platform(); p != nil {
		i.Platform = platforms.FormatAll(*p)
	}
	made := slices.DeleteFunc(slices.Clone(image.Config.History), func(h v1.History) bool { return h.EmptyLayer })
	for n, d := range image.Manifest.Image.Layers {
		l := inspectedLayer{Digest: d.Digest, MediaType: d.MediaType, Size: d.Size}
		if len(made) == len(image.Manifest.Image.Layers) { // else nobody can tell which belongs to which
			l.CreatedBy = made[n].CreatedBy
		}
		i.Layers = append(i.Layers, l)
	}
	return i
}

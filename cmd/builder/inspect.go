//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/attest"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/registry"
)

func newInspect() *cobra.Command {
	var f registryFlags
	var raw, asJSON, provenance, bill bool
	cmd := &cobra.Command{
		Use:   "inspect [OPTIONS] NAME",
		Short: "Show what an image in a registry holds",
		Long:  "Show what a name in a registry stands for: its platforms, and for each the config, the layers and the history.",
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
				return printPredicates(ctx, os.Stdout, client, ref, attest.ProvenanceType)
			case bill:
				return printPredicates(ctx, os.Stdout, client, ref, attest.SPDXType)
			}
			found, err := inspect(ctx, client, ref)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(os.Stdout)
				e.SetIndent("", "  ")
				return e.Encode(found)
			}
			return found.print(os.Stdout)
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
	Images      []inspectedImage  `json:"images"`
	// Others are entries of an index that are not images, such as attestations.
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
	// Attestations are what is said of the image.
	Attestations []attestation `json:"attestations,omitempty"`
}

// inspectedLayer is a layer of an image, with the instruction that made it.
type inspectedLayer struct {
	Digest    v1.Hash         `json:"digest"`
	MediaType types.MediaType `json:"mediaType"`
	// Size is that of the blob, in bytes.
	Size      int64  `json:"size"`
	CreatedBy string `json:"createdBy,omitempty"`
}

func inspect(ctx context.Context, client *registry.Client, ref name.Reference) (*inspected, error) {
	m, err := client.Manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	found := &inspected{Name: ref.String(), Digest: m.Descriptor.Digest, MediaType: m.Descriptor.MediaType}
	entries := []v1.Descriptor{m.Descriptor}
	if m.Index != nil {
		entries, found.Annotations = m.Index.Manifests, m.Index.Annotations
	}
	for _, d := range entries {
		if m.Index != nil && !described(d) {
			found.Others = append(found.Others, d)
			continue
		}
		image, err := client.Resolve(ctx, ref.Context().Digest(d.Digest.String()), nothingToChoose)
		if err != nil {
			return nil, err
		}
		one := inspectImage(image)
		if one.Attestations, err = findAttestations(ctx, client, image.Ref, m.Index); err != nil {
			return nil, err
		}
		found.Images = append(found.Images, one)
	}
	return found, nil
}

// nothingToChoose is for a reference that cannot be an index.
func nothingToChoose(*v1.IndexManifest) (v1.Descriptor, error) {
	return v1.Descriptor{}, fmt.Errorf("it is an index in an index")
}

func inspectImage(image *registry.Image) inspectedImage {
	i := inspectedImage{
		Platform: platforms.FormatAll(*image.Config.Platform()), Digest: image.Manifest.Descriptor.Digest,
		Annotations: image.Manifest.Image.Annotations, Created: image.Config.Created.Time, Config: image.Config.Config,
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

// print shows it to people.
func (i *inspected) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "name\t%s\ndigest\t%s\ntype\t%s\n", i.Name, i.Digest, i.MediaType)
	printMap(t, "annotation", i.Annotations)
	for _, image := range i.Images {
		image.print(t)
	}
	for _, d := range i.Others {
		fmt.Fprintf(t, "\nother entry\t%s\ntype\t%s\n", d.Digest, d.MediaType)
		printMap(t, "annotation", d.Annotations)
	}
	return t.Flush()
}

func (i *inspectedImage) print(w io.Writer) {
	var size int64
	for _, l := range i.Layers {
		size += l.Size
	}
	fmt.Fprintf(w, "\nimage\t%s\ndigest\t%s\ncreated\t%s\nsize\t%s in %d layers\n",
		i.Platform, i.Digest, i.Created.UTC().Format(time.RFC3339), formatSize(size), len(i.Layers))
	printMap(w, "annotation", i.Annotations)
	for _, a := range i.Attestations {
		fmt.Fprintf(w, "attested\t%s\n", a.PredicateType)
	}
	c := i.Config
	for _, field := range []struct {
		name  string
		value any
		given bool
	}{
		{"user", c.User, c.User != ""},
		{"directory", c.WorkingDir, c.WorkingDir != ""},
		{"entrypoint", c.Entrypoint, len(c.Entrypoint) > 0},
		{"command", c.Cmd, len(c.Cmd) > 0},
	} {
		if text, err := json.Marshal(field.value); err == nil && field.given {
			fmt.Fprintf(w, "%s\t%s\n", field.name, text)
		}
	}
	for _, e := range c.Env {
		fmt.Fprintf(w, "env\t%s\n", e)
	}
	for _, port := range sortedKeys(c.ExposedPorts) {
		fmt.Fprintf(w, "port\t%s\n", port)
	}
	printMap(w, "label", c.Labels)
	for _, l := range i.Layers {
		fmt.Fprintf(w, "layer\t%s  %s  %s\n", l.Digest, formatSize(l.Size), abridged(l.CreatedBy))
	}
}

// abridged is an instruction on one line of bearable length.
func abridged(text string) string {
	const longest = 100
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}

func printMap(w io.Writer, what string, m map[string]string) {
	for _, key := range sortedKeys(m) {
		fmt.Fprintf(w, "%s\t%s=%s\n", what, key, m[key])
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

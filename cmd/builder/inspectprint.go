//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed-298d225e/builder/attest"
)

// print shows it to people.
func (i *inspected) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "name\t%s\ndigest\t%s\ntype\t%s\n", i.Name, i.Digest, i.MediaType)
	printMap(t, "annotation", i.Annotations)
	i.said.print(t)
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
	i.printConfig(w)
	for _, l := range i.Layers {
		fmt.Fprintf(w, "layer\t%s  %s  %s\n", l.Digest, formatSize(l.Size), abridged(l.CreatedBy))
	}
	i.said.print(w)
}

func (i *inspectedImage) printConfig(w io.Writer) {
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
}

// print shows what is said of an image.
func (s *said) print(w io.Writer) {
	for _, a := range s.Attestations {
		a.print(w)
	}
	if s.Signatures > 0 {
		fmt.Fprintf(w, "signatures\t%d by cosign, not verified\n", s.Signatures)
	}
	for _, d := range s.Referrers {
		fmt.Fprintf(w, "referrer\t%s  %s\n", d.Digest, d.ArtifactType)
	}
}

// print shows what an attestation says in short.
func (a *attestation) print(w io.Writer) {
	text := a.PredicateType
	if a.Envelope != nil {
		text += ", signed, not verified"
	}
	switch {
	case a.Unreadable != "":
		fmt.Fprintf(w, "attested\t%s: %s\n", text, a.Unreadable)
	case a.Packages != nil:
		fmt.Fprintf(w, "sbom\t%d packages: %s\n", *a.Packages, text)
	case a.Provenance != nil:
		fmt.Fprintf(w, "provenance\t%s\n", text)
		printProvenance(w, a.Provenance)
	default:
		fmt.Fprintf(w, "attested\t%s\n", text)
	}
}

func printProvenance(w io.Writer, p *attest.Summary) {
	for _, field := range [][2]string{{"builder", p.Builder}, {"source", p.Source}, {"revision", p.Revision}, {"target", p.Target}} {
		if field[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", field[0], field[1])
		}
	}
	if p.Started != nil && p.Finished != nil {
		fmt.Fprintf(w, "built\t%s, in %s\n", p.Started.UTC().Format(time.RFC3339), p.Finished.Sub(*p.Started))
	}
	printMap(w, "argument", p.Args)
	for _, m := range p.Materials {
		fmt.Fprintf(w, "material\t%s", m.URI)
		for _, algorithm := range sortedKeys(m.Digest) {
			fmt.Fprintf(w, "  %s:%s", algorithm, m.Digest[algorithm])
		}
		fmt.Fprintln(w)
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

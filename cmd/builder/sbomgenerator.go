//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

// A generator is an image that looks through a tree and writes down what it holds, as BuildKit has it
// (https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md). It runs as a step of the
// build: on its own tree, with the one to look through mounted, for as long as it needs, and not again if neither
// has changed.
const (
	generatorSource = "/run/src/core/sbom"
	generatorResult = "/run/out"
	// maxInventory bounds a document in bytes, as with BuildKit.
	maxInventory = 80 << 20
)

// lowerGenerator adds a step for every image that lists what it holds.
func (b *build) lowerGenerator(ctx context.Context) error {
	if b.attest.sbom == nil || b.attest.sbom.generator == "" {
		return nil
	}
	named, err := reference.ParseNormalizedNamed(b.attest.sbom.generator)
	if err != nil {
		return usagef("--sbom=generator=%s: %w", b.attest.sbom.generator, err)
	}
	p := platforms.Host()
	base, err := b.Image(ctx, reference.TagNameOnly(named).String(), p)
	if err != nil {
		return fmt.Errorf("resolving the generator %s: %w", named, err)
	}
	args := slices.Concat(base.Config.Config.Entrypoint, base.Config.Config.Cmd)
	if len(args) == 0 {
		return fmt.Errorf("the generator %s has no command", b.attest.sbom.generator)
	}
	scanner := solver.NewVertex(solver.Vertex{Op: base.Image, Platform: p})
	place := solver.NewVertex(solver.Vertex{
		Op: solver.Mkdir{Path: generatorResult, Mode: 0o777}, Platform: p, Inputs: []*solver.Vertex{scanner},
		Step: solver.Step{Text: "SBOM: a place for the result"},
	})
	for _, image := range b.images {
		b.generators = append(b.generators, solver.NewVertex(solver.Vertex{
			Platform: p, Inputs: []*solver.Vertex{place, image.Root},
			Op: solver.Exec{
				Args: args, Env: slices.Concat(base.Config.Config.Env, b.attest.sbom.environment()),
				Dir: path.Join("/", base.Config.Config.WorkingDir), User: base.Config.Config.User,
				Hostname: hostname, Network: solver.NetworkDefault,
				Mounts: []solver.Mount{
					{Type: solver.MountBind, Target: generatorSource, Input: 1, Source: "/", ReadOnly: true},
					{Type: solver.MountTmpfs, Target: "/tmp"},
				},
			},
			Step: solver.Step{Text: "SBOM of " + platforms.Format(image.Platform) + " by " + b.attest.sbom.generator},
		}))
	}
	return nil
}

// environment tells a generator what to do.
func (s *sbomOptions) environment() []string {
	env := []string{"BUILDKIT_SCAN_DESTINATION=" + generatorResult, "BUILDKIT_SCAN_SOURCE=" + generatorSource}
	for _, name := range slices.Sorted(maps.Keys(s.parameters)) {
		env = append(env, "BUILDKIT_SCAN_"+strings.ToUpper(name)+"="+s.parameters[name])
	}
	return env
}

// generated returns what the generator has written about the i-th image.
func (b *build) generated(i int) ([]inventory, error) {
	files, err := b.files(solver.Tree{Layers: b.scanned[i].Layers[len(b.scanned[i].Layers)-1:]})
	if err != nil {
		return nil, err
	}
	var all []inventory
	for f, err := range files {
		if err != nil {
			return nil, err
		}
		if path.Dir("/"+f.Path) != generatorResult || !strings.HasSuffix(f.Path, ".spdx.json") {
			continue
		}
		document, err := readDocument(f.Size, f.Open)
		if err != nil {
			return nil, fmt.Errorf("reading what the generator has written, /%s: %w", f.Path, err)
		}
		all = append(all, inventory{path.Base(f.Path), document})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the generator %s has written no %s/*.spdx.json", b.attest.sbom.generator, generatorResult)
	}
	return all, nil
}

func readDocument(size int64, open func() (io.ReadCloser, error)) ([]byte, error) {
	if size > maxInventory {
		return nil, fmt.Errorf("it has %d bytes, more than the allowed %d", size, maxInventory)
	}
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	document, err := io.ReadAll(r)
	if err == nil && !json.Valid(document) {
		err = errors.New("it is not JSON")
	}
	return document, err
}

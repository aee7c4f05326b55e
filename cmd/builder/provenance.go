//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/attest"
	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

// statements returns what is attested of the i-th image, which is called names.
func (b *build) statements(ctx context.Context, i int, made v1.Image, t solver.Tree, spec *outputSpec) ([]exporter.Statement, error) {
	digest, err := made.Digest()
	if err != nil {
		return nil, err
	}
	subjects, err := b.subjects(i, digest, spec.names)
	if err != nil {
		return nil, err
	}
	var all []exporter.Statement
	add := func(kind, file string, predicate []byte) error {
		raw, err := attest.Statement(kind, predicate, subjects)
		all = append(all, exporter.Statement{PredicateType: kind, Raw: raw, Predicate: predicate, File: file})
		return err
	}
	if p := b.attest.provenance; p != nil && (spec.image() || !p.inlineOnly) {
		predicate, err := b.once(attest.ProvenanceType, i, func() ([]byte, error) { return b.provenance(ctx, i, made) })
		if err != nil {
			return nil, err
		}
		if err := add(attest.ProvenanceType, p.filename, predicate); err != nil {
			return nil, err
		}
	}
	if b.attest.sbom == nil {
		return all, nil
	}
	lists, err := b.inventories(i, digest, t, spec.names)
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		if err := add(attest.SPDXType, l.file, l.predicate); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// predicateOf names a predicate about an image by its type and the image's number.
type predicateOf struct {
	kind  string
	image int
}

// once makes a predicate, unless that was done: all outputs get the same.
func (b *build) once(kind string, image int, compute func() ([]byte, error)) ([]byte, error) {
	of := predicateOf{kind, image}
	if p, ok := b.predicates[of]; ok {
		return p, nil
	}
	p, err := compute()
	if err == nil {
		b.predicates[of] = p
	}
	return p, err
}

// provenances are what --metadata-file tells of how the images were made, by buildx's keys.
func (b *build) provenances() map[string]any {
	all := map[string]any{}
	for i, image := range b.images {
		predicate, ok := b.predicates[predicateOf{attest.ProvenanceType, i}]
		if !ok {
			continue
		}
		key := "buildx.build.provenance"
		if len(b.images) > 1 {
			key += "/" + platforms.Format(image.Platform)
		}
		all[key] = json.RawMessage(predicate)
	}
	return all
}

// subjects are the names of an image in statements about it.
func (b *build) subjects(i int, digest v1.Hash, names []string) ([]attest.Subject, error) {
	var urls []string
	for _, n := range names {
		u, err := attest.ImageURL(n, platforms.Format(b.images[i].Platform))
		if err != nil {
			return nil, err
		}
		urls = append(urls, u)
	}
	return attest.Subjects(digest, urls), nil
}

// provenance returns the predicate that says how the i-th image was made.
func (b *build) provenance(ctx context.Context, i int, made v1.Image) ([]byte, error) {
	image, o := b.images[i], b.attest.provenance
	p := attest.Build{
		BuilderID: o.builderID, Version: version(), Target: b.target, Args: b.buildArgs, Labels: b.labels,
		Secrets: slices.Sorted(maps.Keys(b.secrets)), SSH: slices.Sorted(maps.Keys(b.agents)),
		BuilderPlatform: platforms.Format(platforms.Host()), TargetPlatform: platforms.Format(image.Platform),
		Filename: b.source.filename, Dockerfile: b.source.dockerfile, Reproducible: o.reproducible,
		Hermetic: hermetic(image.Root), Steps: definitions(image.Root),
	}
	p.Config = attest.ConfigSource{Path: withoutCredentials(b.source.filename)}
	var err error
	if p.Materials, err = b.materials(image.Root); err != nil {
		return nil, err
	}
	b.describeContext(ctx, &p)
	if o.mode == attest.Max && !b.squash {
		if p.LayerOf, err = layersOf(image.Root, made); err != nil {
			return nil, err
		}
	}
	if image.Epoch == nil {
		now := time.Now().UTC().Truncate(time.Second)
		p.Started, p.Finished, p.ID = &b.started, &now, rand.Text()
	}
	predicate, err := attest.Provenance(p, o.mode)
	return []byte(b.guard.Mask(string(predicate))), err
}

// describeContext says where what was built comes from.
func (b *build) describeContext(ctx context.Context, p *attest.Build) {
	solver.Walk(b.roots(), func(v *solver.Vertex) {
		if op, ok := v.Op.(solver.Local); ok && !within(op.Dir, b.path) && !slices.Contains(p.Contexts, op.Name) {
			p.Contexts = append(p.Contexts, op.Name)
		}
	})
	if b.source.context == nil {
		return
	}
	switch op := b.source.context.Op.(type) {
	case solver.Git:
		p.Source, p.Revision = withoutCredentials(op.Remote), op.Commit
		p.Config.URI, p.Config.Digest = gitName(op), commitDigest(op.Commit)
	case solver.Local:
		if isURL(b.context) {
			p.Config.URI = withoutCredentials(b.context)
		} else if !within(op.Dir, b.path) {
			p.Source, p.Revision = revision(ctx, op.Dir)
		}
	default:
	}
}

// materials are what the steps below a root were made of, as far as it was fetched, and what has looked through it.
func (b *build) materials(root *solver.Vertex) ([]attest.Material, error) {
	images := map[v1.Hash]bool{}
	urls := map[string]string{}
	fetched := b.fetched.list()
	for _, s := range fetched {
		if s.kind == urlSource {
			urls[s.name] = s.digest
		}
	}
	var all []attest.Material
	solver.Walk(append([]*solver.Vertex{root}, b.generators...), func(v *solver.Vertex) {
		switch op := v.Op.(type) {
		case solver.Image:
			images[op.Digest] = true
		case solver.HTTP:
			uri := withoutCredentials(op.URL)
			digest := urls[uri]
			if op.Checksum.Hex != "" {
				digest = op.Checksum.String()
			}
			all = append(all, material(uri, digest))
		case solver.Git:
			all = append(all, attest.Material{URI: gitName(op), Digest: commitDigest(op.Commit)})
		default:
		}
	})
	for _, s := range fetched {
		switch {
		case s.kind == imageSource && images[s.manifest]:
			uri, err := attest.ImageURL(s.name, s.platform)
			if err != nil {
				return nil, err
			}
			all = append(all, material(uri, s.digest))
		case s.kind == urlSource && isURL(b.context) && s.name == withoutCredentials(b.context):
			all = append(all, material(s.name, s.digest))
		}
	}
	return all, nil
}

func material(uri, digest string) attest.Material {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		return attest.Material{URI: uri}
	}
	return attest.Material{URI: uri, Digest: map[string]string{algorithm: hex}}
}

// gitName is a commit's address as people write it.
func gitName(op solver.Git) string {
	name := withoutCredentials(op.Remote)
	if op.Ref != "" {
		name += "#" + op.Ref
	}
	return name
}

// commitDigest is the name of a commit as a digest.
func commitDigest(commit string) map[string]string {
	const sha1Length = 40
	if len(commit) == sha1Length {
		return map[string]string{"sha1": commit}
	}
	return map[string]string{"sha256": commit}
}

// hermetic reports whether no command below a root could reach a network.
func hermetic(root *solver.Vertex) bool {
	sealed := true
	solver.Walk([]*solver.Vertex{root}, func(v *solver.Vertex) {
		if op, ok := v.Op.(solver.Exec); ok && op.Network != solver.NetworkNone {
			sealed = false
		}
	})
	return sealed
}

// definitions are the steps below a root, without where on this machine a directory is.
func definitions(root *solver.Vertex) []solver.Definition {
	steps := solver.Definitions([]*solver.Vertex{root})
	for i := range steps {
		for j, line := range steps[i].Op {
			if rest, ok := strings.CutPrefix(line, "local "); ok {
				name, _, _ := strings.Cut(rest, " ")
				steps[i].Op[j] = "local " + name
			}
		}
	}
	return steps
}

// layersOf returns the diff IDs of the layers that steps gave, by step: they are the same however layers are
// compressed.
func layersOf(root *solver.Vertex, made v1.Image) (map[string]string, error) {
	config, err := made.ConfigFile()
	if err != nil {
		return nil, err
	}
	layers := map[string]string{}
	ids := config.RootFS.DiffIDs
	for i, v := len(ids)-1, root; i >= 0 && !v.Source(); i, v = i-1, v.Inputs[0] {
		layers[v.Digest().String()] = ids[i].String()
	}
	return layers, nil
}

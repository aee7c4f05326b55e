//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/registry"
)

// merge collects the entries of an index.
type merge struct {
	client *registry.Client
	// out is told what was made: the digest of the index, or all of it if it is not pushed.
	out io.Writer
	// replace puts an image in the place of the one for its platform; else two for one are an error.
	replace bool
	entries []merged
	// annotations are those of the index that is added to.
	annotations map[string]string
}

// merged is an entry of an index and where what it refers to is.
type merged struct {
	v1.Descriptor
	from name.Repository
}

// take adds the image, or the entries of the index, that a source names.
func (m *merge) take(ctx context.Context, source string) error {
	ref, err := sourceReference(source)
	if err != nil {
		return &usageError{err}
	}
	found, err := m.client.Manifest(ctx, ref)
	if err != nil {
		return err
	}
	if found.Index == nil {
		image, err := m.client.Resolve(ctx, ref.Context().Digest(found.Descriptor.Digest.String()), nil)
		if err != nil {
			return err
		}
		d := found.Descriptor
		d.Platform = image.Config.Platform()
		return m.add(merged{d, ref.Context()}, source)
	}
	if m.replace && len(m.entries) == 0 {
		m.annotations = found.Index.Annotations
	}
	for _, d := range found.Index.Manifests {
		if err := m.add(merged{d, ref.Context()}, source); err != nil {
			return err
		}
	}
	return nil
}

// add adds an entry. What is not for a platform, such as an attestation, may be there more than once.
func (m *merge) add(e merged, source string) error {
	same := slices.IndexFunc(m.entries, func(old merged) bool {
		return old.Digest == e.Digest || described(e.Descriptor) && described(old.Descriptor) && platforms.FormatAll(*old.Platform) == platforms.FormatAll(*e.Platform)
	})
	switch {
	case same < 0:
		m.entries = append(m.entries, e)
	case m.entries[same].Digest == e.Digest:
	case m.replace:
		m.forget(m.entries[same].Digest)
		m.entries = slices.Insert(m.entries, min(same, len(m.entries)), e)
	default:
		return fmt.Errorf("%s is for %s, for which there is %s already", source, platforms.FormatAll(*e.Platform), m.entries[same].Digest)
	}
	return nil
}

// forget removes an entry and the attestations that are about it.
func (m *merge) forget(digest v1.Hash) {
	m.entries = slices.DeleteFunc(m.entries, func(e merged) bool {
		return e.Digest == digest || e.Annotations["vnd.docker.reference.digest"] == digest.String()
	})
}

// described reports whether an entry is an image for a platform.
func described(d v1.Descriptor) bool {
	return d.Platform != nil && d.Platform.OS != "" && d.Platform.OS != "unknown"
}

// sourceReference understands a name, or a file that --metadata-file wrote.
func sourceReference(source string) (name.Reference, error) { //nolint:ireturn // a tag or a digest
	text, err := os.ReadFile(source)
	if err != nil {
		return name.ParseReference(source)
	}
	var metadata struct {
		Digest string `json:"containerimage.digest"`
		Names  string `json:"image.name"`
	}
	if err := json.Unmarshal(text, &metadata); err != nil {
		return nil, fmt.Errorf("%s is not what --metadata-file writes: %w", source, err)
	}
	first, _, _ := strings.Cut(metadata.Names, ",")
	if metadata.Digest == "" || first == "" {
		return nil, fmt.Errorf("%s does not say where an image was pushed", source)
	}
	named, err := name.ParseReference(first)
	if err != nil {
		return nil, err
	}
	return named.Context().Digest(metadata.Digest), nil
}

// index makes the index. It has Docker's media types if all of its entries have.
func (m *merge) index(notes annotations) v1.IndexManifest {
	docker := true
	entries := make([]v1.Descriptor, len(m.entries))
	for i, e := range m.entries {
		docker = docker && (e.MediaType == types.DockerManifestSchema2 || e.MediaType == types.DockerManifestList)
		entries[i] = e.Descriptor
		if e.Platform == nil {
			continue
		}
		for key, value := range notes.of(manifestDescriptor, *e.Platform) {
			entries[i].Annotations = with(entries[i].Annotations, key, value)
		}
	}
	whole := m.annotations
	for key, value := range notes.of(wholeIndex, v1.Platform{}) {
		whole = with(whole, key, value)
	}
	return exporter.Merge(entries, exporter.IndexOptions{DockerTypes: docker && len(whole) == 0, Annotations: whole})
}

// with returns a copy of annotations with one more.
func with(all map[string]string, key, value string) map[string]string {
	more := map[string]string{key: value}
	for k, v := range all {
		if k != key {
			more[k] = v
		}
	}
	return more
}

// mergeTargets are the tags that are wanted in each repository.
func mergeTargets(tags []string) (map[name.Repository][]string, error) {
	targets := map[name.Repository][]string{}
	for _, t := range tags {
		tag, err := name.NewTag(t)
		if err != nil {
			return nil, err
		}
		targets[tag.Repository] = append(targets[tag.Repository], tag.TagStr())
	}
	return targets, nil
}

// push puts the index into a repository: first what it refers to, then itself under its tags.
func (m *merge) push(ctx context.Context, repo name.Repository, media types.MediaType, raw []byte, tags []string) error {
	p, err := m.client.Pusher(repo)
	if err != nil {
		return err
	}
	g, copying := errgroup.WithContext(ctx)
	for _, e := range m.entries {
		if e.from != repo {
			g.Go(func() error { return m.copy(copying, p, e.from, e.Digest) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return p.Manifest(ctx, media, raw, tags...)
}

// copy copies a manifest, and all that it refers to, from another repository.
func (m *merge) copy(ctx context.Context, to *registry.Pusher, from name.Repository, digest v1.Hash) error {
	found, err := m.client.Manifest(ctx, from.Digest(digest.String()))
	if err != nil {
		return err
	}
	g, blobs := errgroup.WithContext(ctx)
	if found.Index != nil {
		for _, d := range found.Index.Manifests {
			g.Go(func() error { return m.copy(blobs, to, from, d.Digest) })
		}
	} else {
		for _, d := range append([]v1.Descriptor{found.Image.Config}, found.Image.Layers...) {
			if d.MediaType.IsDistributable() || !d.MediaType.IsLayer() {
				g.Go(func() error { return to.Layer(blobs, m.client.Layer(blobs, from, d, v1.Hash{})) })
			}
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return to.Manifest(ctx, found.Descriptor.MediaType, found.Raw)
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/registry"
)

// attestation is a statement about an image that a registry has.
type attestation struct {
	PredicateType string        `json:"predicateType"`
	Blob          v1.Descriptor `json:"blob"`
}

// findAttestations returns the statements about an image: those that refer to it, and those that the index it is
// in lists as BuildKit does. The index may be nil.
func findAttestations(ctx context.Context, client *registry.Client, image name.Digest, index *v1.IndexManifest) ([]attestation, error) {
	manifests, err := client.Referrers(ctx, image)
	if err != nil {
		return nil, err
	}
	if index != nil {
		for _, d := range index.Manifests {
			if d.Annotations[exporter.AnnotationReference] == image.DigestStr() {
				manifests = append(manifests, d)
			}
		}
	}
	var all []attestation
	for _, d := range manifests {
		m, err := client.Manifest(ctx, image.Digest(d.Digest.String()))
		if err != nil {
			return nil, err
		}
		if m.Image == nil {
			continue
		}
		for _, l := range m.Image.Layers {
			a := attestation{l.Annotations[exporter.AnnotationPredicate], l}
			if l.MediaType == exporter.StatementType && !slices.ContainsFunc(all, func(b attestation) bool { return a.Blob.Digest == b.Blob.Digest }) {
				all = append(all, a)
			}
		}
	}
	return all, nil
}

// maxStatement bounds what is read of a statement, in bytes.
const maxStatement = 256 << 20

// predicate returns what is attested, as JSON.
func (a attestation) predicate(ctx context.Context, client *registry.Client, repo name.Repository) ([]byte, error) {
	if a.Blob.Size > maxStatement {
		return nil, fmt.Errorf("the attestation %s has %d bytes, more than the allowed %d", a.Blob.Digest, a.Blob.Size, maxStatement)
	}
	r, err := client.Layer(ctx, repo, a.Blob, a.Blob.Digest).Compressed()
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	var statement struct {
		Predicate json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(raw, &statement); err != nil {
		return nil, fmt.Errorf("reading the attestation %s: %w", a.Blob.Digest, err)
	}
	var text bytes.Buffer
	err = json.Indent(&text, statement.Predicate, "", "  ")
	return append(text.Bytes(), '\n'), err
}

// printPredicates prints what is attested of the images that a name stands for, of one kind.
func printPredicates(ctx context.Context, w io.Writer, client *registry.Client, ref name.Reference, kind string) error {
	found, err := inspect(ctx, client, ref)
	if err != nil {
		return err
	}
	printed := 0
	for _, image := range found.Images {
		for _, a := range image.Attestations {
			if a.PredicateType != kind {
				continue
			}
			text, err := a.predicate(ctx, client, ref.Context())
			if err == nil {
				_, err = w.Write(text)
			}
			if err != nil {
				return err
			}
			printed++
		}
	}
	if printed == 0 {
		return fmt.Errorf("%s has no attestation of type %s", ref, kind)
	}
	return nil
}

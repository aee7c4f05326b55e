//go:build linux

package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/attest"
	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/sign"
)

// said is what a registry has that is about an image.
type said struct {
	Attestations []attestation `json:"attestations,omitempty"`
	// Signatures is how many signatures of cosign there are. They are not verified.
	Signatures int `json:"signatures,omitempty"`
	// Referrers are manifests about it that hold no statements.
	Referrers []v1.Descriptor `json:"referrers,omitempty"`
}

// attestation is a statement about an image that a registry has.
type attestation struct {
	PredicateType string        `json:"predicateType"`
	Blob          v1.Descriptor `json:"blob"`
	// Envelope is where a signed statement of that type is; nil if there is none.
	Envelope *v1.Descriptor `json:"envelope,omitempty"`
	// Provenance is what one says in short, Packages is how many packages an SBOM lists; both are nil before
	// [inspected.summarize].
	Provenance *attest.Summary `json:"provenance,omitempty"`
	Packages   *int            `json:"packages,omitempty"`
	// Unreadable is why there is neither.
	Unreadable string `json:"unreadable,omitempty"`
}

// findSaid returns what is said of an image: by what refers to it, by what the index that it is in lists as BuildKit
// does, and by cosign. The index may be nil. No statement is read.
func findSaid(ctx context.Context, client *registry.Client, image name.Digest, index *v1.IndexManifest) (said, error) {
	var s said
	manifests, err := client.Referrers(ctx, image)
	if err != nil {
		return s, err
	}
	if index != nil {
		for _, d := range index.Manifests {
			if d.Annotations[exporter.AnnotationReference] == image.DigestStr() {
				manifests = append(manifests, d)
			}
		}
	}
	for _, d := range manifests {
		if err := s.takeManifest(ctx, client, image, d); err != nil {
			return s, err
		}
	}
	return s, s.takeSigned(ctx, client, image)
}

// takeManifest adds the statements of a manifest about the image. A list of referrers may name what is gone.
func (s *said) takeManifest(ctx context.Context, client *registry.Client, image name.Digest, d v1.Descriptor) error {
	m, err := client.Manifest(ctx, image.Digest(d.Digest.String()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stated := false
	if m.Image != nil {
		for _, l := range m.Image.Layers {
			if l.MediaType != exporter.StatementType {
				continue
			}
			stated = true
			if !slices.ContainsFunc(s.Attestations, func(a attestation) bool { return a.Blob.Digest == l.Digest }) {
				s.Attestations = append(s.Attestations, attestation{PredicateType: l.Annotations[exporter.AnnotationPredicate], Blob: l})
			}
		}
	}
	if !stated {
		s.Referrers = append(s.Referrers, d)
	}
	return nil
}

// takeSigned adds what cosign keeps under tags: signatures, and signed statements.
func (s *said) takeSigned(ctx context.Context, client *registry.Client, image name.Digest) error {
	digest, err := v1.NewHash(image.DigestStr())
	if err != nil {
		return err
	}
	signatures, err := tagged(ctx, client, image.Context().Tag(sign.Tag(digest)))
	if err != nil {
		return err
	}
	s.Signatures = len(signatures)
	envelopes, err := tagged(ctx, client, image.Context().Tag(sign.AttestationTag(digest)))
	if err != nil {
		return err
	}
	for _, e := range envelopes {
		kind := sign.PredicateTypeOf(e)
		i := slices.IndexFunc(s.Attestations, func(a attestation) bool { return a.PredicateType == kind })
		if i < 0 {
			i = len(s.Attestations)
			s.Attestations = append(s.Attestations, attestation{PredicateType: kind, Blob: e})
		}
		s.Attestations[i].Envelope = &e
	}
	return nil
}

// tagged returns the layers of what is under a tag, none if there is nothing.
func tagged(ctx context.Context, client *registry.Client, tag name.Tag) ([]v1.Descriptor, error) {
	m, err := client.Manifest(ctx, tag)
	if errors.Is(err, fs.ErrNotExist) || err == nil && m.Image == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return m.Image.Layers, nil
}

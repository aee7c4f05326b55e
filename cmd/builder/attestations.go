//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	// Provenance is what one says in short, Packages is how many packages an SBOM lists.
	Provenance *attest.Summary `json:"provenance,omitempty"`
	Packages   *int            `json:"packages,omitempty"`
	// Unreadable is why there is neither.
	Unreadable string `json:"unreadable,omitempty"`
}

// isBill reports whether predicates of a type list what an image holds.
func isBill(predicateType string) bool { return predicateType == attest.SPDXType }

// findSaid returns what is said of an image: by what refers to it, by what the index that it is in lists as BuildKit
// does, and by cosign. The index may be nil.
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
	if err := s.takeSigned(ctx, client, image); err != nil {
		return s, err
	}
	for i := range s.Attestations {
		s.Attestations[i].summarize(ctx, client, image.Context())
	}
	return s, nil
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

// summarize reads what the attestation says, if it is of a type that is known.
func (a *attestation) summarize(ctx context.Context, client *registry.Client, repo name.Repository) {
	if !isBill(a.PredicateType) && !attest.IsProvenance(a.PredicateType) {
		return
	}
	raw, err := a.predicate(ctx, client, repo)
	if err == nil && isBill(a.PredicateType) {
		var n int
		n, err = attest.CountPackages(raw)
		a.Packages = &n
	} else if err == nil {
		a.Provenance, err = attest.Summarize(a.PredicateType, raw)
	}
	if err != nil {
		a.Unreadable = err.Error()
	}
}

// maxStatement bounds what is read of a statement, in bytes.
const maxStatement = 256 << 20

// predicate returns what is attested, as JSON.
func (a *attestation) predicate(ctx context.Context, client *registry.Client, repo name.Repository) ([]byte, error) {
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
	if a.Blob.MediaType != exporter.StatementType {
		raw = sign.Attestation{Envelope: raw}.Statement()
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

// printPredicates prints what is attested of the images that a name stands for, of a kind.
func printPredicates(ctx context.Context, w io.Writer, client *registry.Client, ref name.Reference, wanted func(predicateType string) bool) error {
	found, err := inspect(ctx, client, ref)
	if err != nil {
		return err
	}
	printed := 0
	for _, image := range found.Images {
		for _, a := range image.Attestations {
			if !wanted(a.PredicateType) {
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
		return fmt.Errorf("%s has no such attestation", ref)
	}
	return nil
}

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seed-298d225e/builder/attest"
	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/sign"
)

// attestationKind is a kind of attestation that can be read, by its name in messages.
type attestationKind string

const (
	provenanceKind attestationKind = "provenance"
	billKind       attestationKind = "SBOM"
)

// has reports whether predicates of a type are of the kind.
func (k attestationKind) has(predicateType string) bool {
	switch k {
	case provenanceKind:
		return attest.IsProvenance(predicateType)
	case billKind:
		return predicateType == attest.SPDXType
	}
	return false
}

// option is the option of build that attests it.
func (k attestationKind) option() string {
	switch k {
	case provenanceKind:
		return "--provenance"
	case billKind:
		return "--sbom"
	}
	return ""
}

// summarize reads what is attested, in short. An SBOM can be large, so one is read after another. The error is that of
// ctx: what cannot be read says so itself.
func (i *inspected) summarize(ctx context.Context, client *registry.Client, repo name.Repository) error {
	i.said.summarize(ctx, client, repo)
	for n := range i.Images {
		i.Images[n].summarize(ctx, client, repo)
	}
	return ctx.Err()
}

func (s *said) summarize(ctx context.Context, client *registry.Client, repo name.Repository) {
	for i := range s.Attestations {
		s.Attestations[i].summarize(ctx, client, repo)
	}
}

// summarize reads what the attestation says, if it is of a type that is known.
func (a *attestation) summarize(ctx context.Context, client *registry.Client, repo name.Repository) {
	isBill := billKind.has(a.PredicateType)
	if !isBill && !provenanceKind.has(a.PredicateType) {
		return
	}
	raw, err := a.predicate(ctx, client, repo)
	if err == nil && isBill {
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

// maxStatement bounds what is read of a statement, in bytes. It is more than what a build attests, see [maxInventory].
const maxStatement = 128 << 20

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
	if statement.Predicate == nil {
		return nil, fmt.Errorf("the attestation %s has no predicate", a.Blob.Digest)
	}
	return statement.Predicate, nil
}

// printPredicates prints what is attested of the images that a name stands for, of a kind.
func printPredicates(ctx context.Context, w io.Writer, client *registry.Client, ref name.Reference, kind attestationKind) error {
	found, err := inspect(ctx, client, ref)
	if err != nil {
		return err
	}
	printed := false
	for _, image := range found.Images {
		for _, a := range image.Attestations {
			if !kind.has(a.PredicateType) {
				continue
			}
			text, err := a.predicate(ctx, client, ref.Context())
			if err != nil {
				return err
			}
			if err := printIndented(ctx, w, text); err != nil {
				return err
			}
			printed = true
		}
	}
	if !printed {
		return fmt.Errorf("%s has no %s: an image gets one when it is built with %s", ref, kind, kind.option())
	}
	return nil
}

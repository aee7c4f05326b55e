package exporter

import (
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Statement is an in-toto statement about an image, such as its provenance.
type Statement struct {
	// PredicateType says what kind of statement it is.
	PredicateType string
	// Raw is the statement as JSON.
	Raw []byte
	// Predicate is the part of it that a program for that kind reads.
	Predicate []byte
	// File is what the statement is called beside the files of the image.
	File string
}

// Attestations says where the statements about images go.
type Attestations string

const (
	// AsReferrers means that every statement is a manifest of its own that refers to the image, so that the image and its
	// digest are the same with and without (OCI image specification 1.1, "subject").
	AsReferrers Attestations = "referrers"
	// InIndex means that the index lists them beside the images, as BuildKit has it, and so a single image has one too.
	InIndex Attestations = "index"
)

const (
	// StatementType is the media type of a statement (in-toto attestation framework).
	StatementType types.MediaType = "application/vnd.in-toto+json"
	// AnnotationPredicate says of a blob which type of predicate the statement has.
	AnnotationPredicate = "in-toto.io/predicate-type"
	// AnnotationReference says in an index which image a manifest of statements is about.
	AnnotationReference = "vnd.docker.reference.digest"

	// attestationType is what BuildKit calls a manifest of statements.
	attestationType = "application/vnd.docker.attestation.manifest.v1+json"
	// emptyType is the media type of {} (OCI image specification 1.1, "Guidance for an Empty Descriptor").
	emptyType types.MediaType = "application/vnd.oci.empty.v1+json"

	annotationType = "vnd.docker.reference.type"
)

// artifact is a manifest that holds no image.
type artifact struct {
	kind        string
	subject     *v1.Descriptor
	annotations map[string]string
	layers      []artifactLayer
}

type artifactLayer struct {
	media       types.MediaType
	content     []byte
	annotations map[string]string
}

// image returns the artifact in the form in which everything is shipped.
func (a artifact) image() (v1.Image, error) {
	i := &image{json: []byte("{}")}
	i.config = static.NewLayer(i.json, emptyType)
	i.manifest = v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: a.kind, Layers: []v1.Descriptor{},
		Subject: a.subject, Annotations: a.annotations,
	}
	config, err := partial.Descriptor(i.config)
	if err != nil {
		return nil, err
	}
	i.manifest.Config = *config
	i.manifest.Config.Data = i.json
	for _, l := range a.layers {
		blob := static.NewLayer(l.content, l.media)
		d, err := partial.Descriptor(blob)
		if err != nil {
			return nil, err
		}
		d.Annotations = l.annotations
		i.layers = append(i.layers, &layer{Layer: blob, descriptor: *d})
		i.manifest.Layers = append(i.manifest.Layers, *d)
	}
	i.raw, err = json.MarshalIndent(i.manifest, "", "  ")
	return i, err
}

func (s Statement) layer() artifactLayer {
	return artifactLayer{StatementType, s.Raw, map[string]string{AnnotationPredicate: s.PredicateType}}
}

// subject is how a manifest about the image refers to it.
func (b Built) subject() (*v1.Descriptor, error) {
	d, err := partial.Descriptor(b.Image)
	if err != nil {
		return nil, err
	}
	return &v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}, nil
}

// referrers are the manifests of the statements about the image, one for each.
func (b Built) referrers() ([]Built, error) {
	subject, err := b.subject()
	if err != nil {
		return nil, err
	}
	var all []Built
	for _, s := range b.Statements {
		l := s.layer()
		i, err := artifact{string(StatementType), subject, l.annotations, []artifactLayer{l}}.image()
		if err != nil {
			return nil, fmt.Errorf("describing the attestation %s: %w", s.PredicateType, err)
		}
		all = append(all, Built{Image: i, artifact: string(StatementType), Annotations: l.annotations})
	}
	return all, nil
}

// attestation is the one manifest of all statements about the image that an index lists.
func (b Built) attestation() (Built, error) {
	subject, err := b.subject()
	if err != nil {
		return Built{}, err
	}
	a := artifact{kind: attestationType, subject: subject}
	for _, s := range b.Statements {
		a.layers = append(a.layers, s.layer())
	}
	i, err := a.image()
	return Built{
		Image: i, Platform: v1.Platform{OS: "unknown", Architecture: "unknown"}, artifact: attestationType,
		Annotations: map[string]string{annotationType: "attestation-manifest", AnnotationReference: subject.Digest.String()},
	}, err
}

// attest makes the manifests of the statements about images, as o says.
func attest(images []Built, o Attestations) (referrers, indexed []Built, err error) {
	for _, b := range images {
		switch {
		case len(b.Statements) == 0:
		case o == InIndex:
			a, err := b.attestation()
			if err != nil {
				return nil, nil, err
			}
			indexed = append(indexed, a)
		default:
			r, err := b.referrers()
			if err != nil {
				return nil, nil, err
			}
			referrers = append(referrers, r...)
		}
	}
	return referrers, indexed, nil
}

package sign

import (
	"encoding/json"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// statementType is what an envelope holds, envelopeType the media type of one.
	statementType string          = "application/vnd.in-toto+json"
	envelopeType  types.MediaType = "application/vnd.dsse.envelope.v1+json"
	// predicateAnnotation says which kind of statement is in an envelope.
	predicateAnnotation = "predicateType"
)

// AttestationTag is the tag of the signed statements about a manifest.
func AttestationTag(digest v1.Hash) string { return digest.Algorithm + "-" + digest.Hex + ".att" }

// Attestation is a signed in-toto statement.
type Attestation struct {
	// Envelope has the statement and its signatures, as JSON
	// (https://github.com/secure-systems-lab/dsse/blob/master/envelope.md).
	Envelope []byte
	// Annotations are what else is said of it.
	Annotations map[string]string
}

type envelope struct {
	PayloadType string              `json:"payloadType"`
	Payload     []byte              `json:"payload"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// Attest signs a statement with a predicate of a type.
func (k *Key) Attest(predicateType string, statement []byte) (Attestation, error) {
	signature, err := k.sign(authenticated(statementType, statement))
	if err != nil {
		return Attestation{}, err
	}
	raw, err := json.Marshal(envelope{statementType, statement, []envelopeSignature{{Sig: signature}}})
	return Attestation{raw, map[string]string{annotation: "", predicateAnnotation: predicateType}}, err
}

// authenticated is the text that is signed
// (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, "PAE").
func authenticated(kind string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload)
}

// Statement is what was signed, nil if that cannot be read. Nothing is verified.
func (a Attestation) Statement() []byte {
	var e envelope
	if json.Unmarshal(a.Envelope, &e) != nil {
		return nil
	}
	return e.Payload
}

// PredicateType is the type of the predicate of the statement, "" if that cannot be read. Nothing is verified.
func (a Attestation) PredicateType() string {
	var statement struct {
		PredicateType string `json:"predicateType"`
	}
	if json.Unmarshal(a.Statement(), &statement) != nil {
		return ""
	}
	return statement.PredicateType
}

// PredicateTypeOf is the type that a layer of an image of attestations is said to have.
func PredicateTypeOf(layer v1.Descriptor) string { return layer.Annotations[predicateAnnotation] }

// Attested reports whether an attestation was signed with the key.
func (k *Key) Attested(a Attestation) bool {
	var e envelope
	if json.Unmarshal(a.Envelope, &e) != nil {
		return false
	}
	text := authenticated(e.PayloadType, e.Payload)
	for _, s := range e.Signatures {
		if k.verifies(text, s.Sig) {
			return true
		}
	}
	return false
}

// AttestationImage returns attestations as the image that holds them.
func AttestationImage(attestations []Attestation) (v1.Image, error) {
	var blobs []blob
	for _, a := range attestations {
		blobs = append(blobs, blob{a.Envelope, a.Annotations})
	}
	return pack(envelopeType, blobs)
}

// ReadAttestations returns the attestations that an image holds, whose manifest is m and whose layers open opens.
func ReadAttestations(m *v1.Manifest, open func(v1.Descriptor) (io.ReadCloser, error)) ([]Attestation, error) {
	blobs, err := unpack(m, envelopeType, maxAll, open)
	if err != nil {
		return nil, fmt.Errorf("reading attestations: %w", err)
	}
	var all []Attestation
	for _, b := range blobs {
		all = append(all, Attestation{b.content, b.annotations})
	}
	return all, nil
}

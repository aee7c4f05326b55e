package attest

import (
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	// ProvenanceType is the type of predicates of provenance.
	ProvenanceType = "https://slsa.dev/provenance/v1"
	// SPDXType is the type of predicates that list what an image holds.
	SPDXType = "https://spdx.dev/Document"
)

// Subject is what a statement is about.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Subjects names a manifest by all the names it has; without any it is "_", which says nothing.
func Subjects(digest v1.Hash, names []string) []Subject {
	if len(names) == 0 {
		names = []string{"_"}
	}
	subjects := make([]Subject, len(names))
	for i, n := range names {
		subjects[i] = Subject{n, Digest(digest)}
	}
	return subjects
}

// Digest is a digest as statements have it.
func Digest(h v1.Hash) map[string]string { return map[string]string{h.Algorithm: h.Hex} }

// Statement returns an in-toto statement, version 1, as JSON. The predicate is JSON too.
func Statement(predicateType string, predicate json.RawMessage, subjects []Subject) ([]byte, error) {
	return json.Marshal(struct {
		Type          string          `json:"_type"`
		PredicateType string          `json:"predicateType"`
		Subject       []Subject       `json:"subject"`
		Predicate     json.RawMessage `json:"predicate"`
	}{statementType, predicateType, subjects, predicate})
}

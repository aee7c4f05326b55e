// Package attest writes down how an image was made: in-toto statements with a SLSA provenance predicate.
//
// The predicate follows SLSA v1.1 (https://slsa.dev/spec/v1.1/provenance). Where that leaves the names of fields
// to the builder they are those of BuildKit's provenance, so that what reads that reads this too.
package attest

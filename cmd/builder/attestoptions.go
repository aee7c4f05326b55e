//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/seed-298d225e/builder/attest"
	"github.com/seed-298d225e/builder/exporter"
)

// attestOptions are what is to be attested of the images.
type attestOptions struct {
	// provenance is nil if none is asked for, sbom too.
	provenance *provenanceOptions
	sbom       *sbomOptions
}

// provenanceOptions are those of --provenance, by BuildKit's names.
type provenanceOptions struct {
	mode         attest.Mode
	builderID    string
	filename     string
	reproducible bool
	// inlineOnly leaves it out where files are written instead of images.
	inlineOnly bool
}

// sbomOptions are those of --sbom.
type sbomOptions struct {
	// generator is the image of a scanner; empty reads the package databases here.
	generator string
	// parameters are given to the generator.
	parameters map[string]string
}

// readAttestations understands --attest, --provenance and --sbom. What stands last counts.
func (o *buildOptions) readAttestations() error {
	var all []string
	all = append(all, o.supply.attests...)
	for _, short := range []struct{ kind, value string }{{"provenance", o.supply.provenance}, {"sbom", o.supply.sbom}} {
		if short.value != "" {
			all = append(all, "type="+short.kind+","+shorthand(short.value))
		}
	}
	for _, s := range all {
		if err := o.attest.read(s); err != nil {
			return fmt.Errorf("--attest %q: %w", s, err)
		}
	}
	return nil
}

// shorthand reads what --provenance and --sbom can be instead of options.
func shorthand(value string) string {
	if on, err := strconv.ParseBool(value); err == nil {
		return "disabled=" + strconv.FormatBool(!on)
	}
	return value
}

func (a *attestOptions) read(s string) error {
	fields, err := csvFields(s)
	if err != nil {
		return err
	}
	kind, off := fields["type"], fields["disabled"]
	delete(fields, "type")
	delete(fields, "disabled")
	disabled := false
	if off != "" {
		if disabled, err = strconv.ParseBool(off); err != nil {
			return fmt.Errorf("disabled=%s: it must be true or false", off)
		}
	}
	switch kind {
	case "provenance":
		a.provenance = nil
		if disabled {
			return nil
		}
		a.provenance = &provenanceOptions{mode: attest.Max, builderID: defaultBuilderID(), filename: "provenance.json"}
		return a.provenance.read(fields)
	case "sbom":
		a.sbom = nil
		if !disabled {
			a.sbom = &sbomOptions{generator: fields["generator"], parameters: fields}
			delete(fields, "generator")
		}
		return a.sbom.check()
	case "":
		return errors.New("it needs a type: provenance or sbom")
	}
	return fmt.Errorf("unknown type %q: it must be provenance or sbom", kind)
}

func (p *provenanceOptions) read(fields map[string]string) (err error) {
	for key, value := range fields {
		switch key {
		case "mode":
			p.mode = attest.Mode(value)
			if p.mode != attest.Min && p.mode != attest.Max {
				err = errors.New("it must be min or max")
			}
		case "builder-id":
			p.builderID = value
		case "filename":
			p.filename = value
			if value == "" || strings.ContainsAny(value, "/\x00") || value == "." || value == ".." {
				err = errors.New("it must be the name of a file")
			}
		case "reproducible":
			p.reproducible, err = strconv.ParseBool(value)
		case "inline-only":
			p.inlineOnly, err = strconv.ParseBool(value)
		case "version":
			if value != "v1" {
				err = errors.New("provenance is written in version v1 only")
			}
		default:
			err = errors.New("unknown option; known are mode, builder-id, filename, reproducible, inline-only and version")
		}
		if err != nil {
			return fmt.Errorf("%s=%s: %w", key, value, err)
		}
	}
	return nil
}

// check refuses options that nobody would read.
func (s *sbomOptions) check() error {
	if s == nil || s.generator != "" {
		return nil
	}
	for key := range s.parameters {
		return fmt.Errorf("unknown option %q: only a generator=IMAGE has options of its own", key)
	}
	return nil
}

// defaultBuilderID is the job of a CI system, as buildx has it, else this program.
func defaultBuilderID() string {
	if run := os.Getenv("GITHUB_RUN_ID"); run != "" && os.Getenv("GITHUB_REPOSITORY") != "" {
		id := first(os.Getenv("GITHUB_SERVER_URL"), "https://github.com") + "/" + os.Getenv("GITHUB_REPOSITORY") + "/actions/runs/" + run
		if attempt := os.Getenv("GITHUB_RUN_ATTEMPT"); attempt != "" {
			id += "/attempts/" + attempt
		}
		return id
	}
	return first(os.Getenv("CI_JOB_URL"), attest.BuilderID)
}

// asked reports whether anything is to be attested where an output goes.
func (a *attestOptions) asked(spec *outputSpec) bool {
	if a.sbom != nil {
		return spec.kind != outputCacheOnly
	}
	return a.provenance != nil && spec.kind != outputCacheOnly && (spec.image() || !a.provenance.inlineOnly)
}

// setAttestations reads the option of an output that says where attestations go.
func (spec *outputSpec) setAttestations(value string) error {
	spec.attestations = exporter.Attestations(value)
	if spec.attestations != exporter.AsReferrers && spec.attestations != exporter.InIndex {
		return fmt.Errorf("it must be %s or %s", exporter.AsReferrers, exporter.InIndex)
	}
	return nil
}

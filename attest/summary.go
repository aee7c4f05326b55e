package attest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Summary is what a provenance tells in short, whoever has made it.
type Summary struct {
	// Builder is who has built, Type what the parameters mean.
	Builder string `json:"builder,omitempty"`
	Type    string `json:"buildType,omitempty"`
	// Source and Revision say which commit of which repository was built, as far as that is told.
	Source   string `json:"source,omitempty"`
	Revision string `json:"revision,omitempty"`
	// Target is the stage, Args are the build arguments.
	Target    string            `json:"target,omitempty"`
	Args      map[string]string `json:"args,omitempty"`
	Materials []Material        `json:"materials,omitempty"`
	Started   *time.Time        `json:"startedOn,omitempty"`
	Finished  *time.Time        `json:"finishedOn,omitempty"`
}

// IsProvenance reports whether predicates of a type are provenance that Summarize reads.
func IsProvenance(predicateType string) bool {
	return predicateType == ProvenanceType || predicateType == oldProvenanceType
}

// oldProvenanceType is what BuildKit attests unless it is told to use version 1 (https://slsa.dev/spec/v0.2/provenance).
const oldProvenanceType = "https://slsa.dev/provenance/v0.2"

// Summarize reads a predicate of provenance.
func Summarize(predicateType string, raw []byte) (*Summary, error) {
	switch predicateType {
	case ProvenanceType:
		return summarize(raw)
	case oldProvenanceType:
		return summarizeOld(raw)
	}
	return nil, fmt.Errorf("%q is not a type of provenance that is known", predicateType)
}

// vcs is what BuildKit's metadata say of the source.
type vcs struct {
	VCS struct {
		Source   string `json:"source"`
		Revision string `json:"revision"`
	} `json:"vcs"`
}

// told is what is read of a provenance of version 1. Of parameters only those that BuildKit names are.
type told struct {
	Definition struct {
		Type     string `json:"buildType"`
		External struct {
			Request struct {
				Args map[string]string `json:"args"`
			} `json:"request"`
		} `json:"externalParameters"`
		Materials []Material `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	Run struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Metadata struct {
			Started  *time.Time `json:"startedOn"`
			Finished *time.Time `json:"finishedOn"`
			BuildKit vcs        `json:"buildkit_metadata"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

func summarize(raw []byte) (*Summary, error) {
	var p told
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	m := p.Run.Metadata
	s := &Summary{
		Builder: p.Run.Builder.ID, Type: p.Definition.Type, Materials: p.Definition.Materials, Started: m.Started, Finished: m.Finished,
		Source: m.BuildKit.VCS.Source, Revision: m.BuildKit.VCS.Revision,
	}
	s.request(p.Definition.External.Request.Args)
	return s, nil
}

// toldOld is what is read of one of version 0.2.
type toldOld struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
	Type       string `json:"buildType"`
	Invocation struct {
		Parameters struct {
			Args map[string]string `json:"args"`
		} `json:"parameters"`
	} `json:"invocation"`
	Materials []Material `json:"materials"`
	Metadata  struct {
		Started  *time.Time `json:"buildStartedOn"`
		Finished *time.Time `json:"buildFinishedOn"`
		BuildKit vcs        `json:"https://mobyproject.org/buildkit@v1#metadata"`
	} `json:"metadata"`
}

func summarizeOld(raw []byte) (*Summary, error) {
	var p toldOld
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	s := &Summary{
		Builder: p.Builder.ID, Type: p.Type, Materials: p.Materials, Started: p.Metadata.Started, Finished: p.Metadata.Finished,
		Source: p.Metadata.BuildKit.VCS.Source, Revision: p.Metadata.BuildKit.VCS.Revision,
	}
	s.request(p.Invocation.Parameters.Args)
	return s, nil
}

// request takes what BuildKit calls the arguments of a frontend apart.
func (s *Summary) request(args map[string]string) {
	s.Target = args["target"]
	for key, value := range args {
		if name, ok := strings.CutPrefix(key, "build-arg:"); ok {
			if s.Args == nil {
				s.Args = map[string]string{}
			}
			s.Args[name] = value
		}
	}
}

// CountPackages returns how many packages an SPDX document lists, besides what it is about and the operating system.
func CountPackages(raw []byte) (int, error) {
	var document struct {
		Packages []struct {
			Purpose string `json:"primaryPackagePurpose"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		return 0, err
	}
	n := 0
	for _, p := range document.Packages {
		if p.Purpose != "CONTAINER" && p.Purpose != "OPERATING-SYSTEM" {
			n++
		}
	}
	return n, nil
}

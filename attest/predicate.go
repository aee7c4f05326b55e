package attest

import (
	"encoding/json"
	"slices"
	"strings"
)

// Provenance returns the SLSA provenance predicate of a build as JSON.
func Provenance(b Build, mode Mode) ([]byte, error) {
	p := predicate{
		Definition: definition{
			BuildType: BuildType,
			External:  external{Config: b.Config, Request: b.request(mode)},
			Internal:  internal{BuilderPlatform: b.BuilderPlatform, TargetPlatform: b.TargetPlatform},
			Materials: b.materials(),
		},
		Run: run{
			Builder:  builder{ID: b.BuilderID, Version: map[string]string{"builder": b.Version}},
			Metadata: b.metadata(mode),
		},
	}
	if mode == Max {
		p.Definition.Internal.Config = &config{Steps: b.Steps, Layers: b.LayerOf}
	}
	return json.MarshalIndent(p, "", "  ")
}

func (b Build) request(mode Mode) request {
	r := request{Frontend: "dockerfile.v0", Args: map[string]string{}}
	if b.Target != "" {
		r.Args["target"] = b.Target
	}
	for _, name := range b.Contexts {
		r.Locals = append(r.Locals, named{name})
	}
	if mode == Min {
		return r
	}
	for name, value := range b.Args {
		r.Args["build-arg:"+name] = value
	}
	for name, value := range b.Labels {
		r.Args["label:"+name] = value
	}
	r.Secrets, r.SSH = ids(b.Secrets), ids(b.SSH)
	return r
}

func ids(names []string) []identified {
	var list []identified
	for _, n := range names {
		list = append(list, identified{n})
	}
	return list
}

// materials are sorted, so that equal builds tell the same.
func (b Build) materials() []Material {
	all := slices.Clone(b.Materials)
	slices.SortFunc(all, func(x, y Material) int { return strings.Compare(x.URI, y.URI) })
	all = slices.CompactFunc(all, func(x, y Material) bool { return x.URI == y.URI })
	if all == nil {
		return []Material{}
	}
	return all
}

func (b Build) metadata(mode Mode) metadata {
	m := metadata{
		ID: b.ID, Started: b.Started, Finished: b.Finished, Hermetic: b.Hermetic, Reproducible: b.Reproducible,
		Completeness: completeness{Request: mode == Max, Materials: b.Hermetic && len(b.Contexts) == 0},
	}
	if b.Source != "" || b.Revision != "" {
		m.BuildKit.VCS = map[string]string{}
		if b.Source != "" {
			m.BuildKit.VCS["source"] = b.Source
		}
		if b.Revision != "" {
			m.BuildKit.VCS["revision"] = b.Revision
		}
	}
	if mode == Max {
		m.BuildKit.Source = &source{[]sourceInfo{{b.Filename, "Dockerfile", b.Dockerfile}}}
	}
	return m
}

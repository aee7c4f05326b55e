package exporter

import (
	"fmt"
	"maps"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Annotations of descriptors in an index.json: the tag by the image specification, the full name by
// containerd, which docker, buildx and nerdctl read too.
const (
	annotationTag     = "org.opencontainers.image.ref.name"
	annotationName    = "io.containerd.image.name"
	annotationCreated = "org.opencontainers.image.created"
)

// parseNames parses names of images, with a tag or with latest understood.
func parseNames(names []string) ([]name.Tag, error) {
	tags := make([]name.Tag, len(names))
	for i, n := range names {
		if strings.Contains(n, "@") {
			return nil, fmt.Errorf("%q has a digest, but names for results have tags", n)
		}
		var err error
		if tags[i], err = name.NewTag(n); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// fullName is a tag with nothing left out: docker.io/library/app:latest.
func fullName(t name.Tag) string { return repositoryName(t.Repository) + ":" + t.TagStr() }

// repositoryName is the full name of a repository. Docker Hub is called as people call it.
func repositoryName(r name.Repository) string {
	registry := r.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return registry + "/" + r.RepositoryStr()
}

// shortName is a tag as docker shows it, with what goes without saying left out: app:latest.
func shortName(t name.Tag) string {
	full := fullName(t)
	if short, ok := strings.CutPrefix(full, "docker.io/library/"); ok {
		return short
	}
	return strings.TrimPrefix(full, "docker.io/")
}

func fullNames(tags []name.Tag) []string {
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = fullName(t)
	}
	return names
}

// named returns d once for every name, as index.json has it; once without a name if there is none.
func named(d v1.Descriptor, tags []name.Tag) []v1.Descriptor {
	if len(tags) == 0 {
		return []v1.Descriptor{d}
	}
	all := make([]v1.Descriptor, len(tags))
	for i, t := range tags {
		all[i] = annotated(d, annotationName, fullName(t), annotationTag, t.TagStr())
	}
	return all
}

// annotated returns d with more annotations, given as key and value in turn.
func annotated(d v1.Descriptor, pairs ...string) v1.Descriptor {
	d.Annotations = maps.Clone(d.Annotations)
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	for i := 0; i < len(pairs); i += 2 {
		d.Annotations[pairs[i]] = pairs[i+1]
	}
	return d
}

//go:build linux

package main

import (
	"fmt"
	"maps"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/platforms"
)

// annotated is what an annotation is put on.
type annotated string

// What annotations can be put on, by the names that --annotation and --output have for them.
const (
	manifest           annotated = "manifest"
	wholeIndex         annotated = "index"
	manifestDescriptor annotated = "manifest-descriptor"
	indexDescriptor    annotated = "index-descriptor"
)

// annotation is one annotation.
type annotation struct {
	on annotated
	// platform is that of the manifest; nil means all.
	platform   *v1.Platform
	key, value string
}

// annotations are those of one output.
type annotations []annotation

// of returns the annotations of something for a platform.
func (a annotations) of(on annotated, p v1.Platform) map[string]string {
	var found map[string]string
	for _, one := range a {
		if one.on != on || one.platform != nil && !platforms.Match(*one.platform, p) {
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		found[one.key] = one.value
	}
	return maps.Clone(found)
}

// newAnnotation reads what an annotation is put on, such as manifest[linux/arm64].
func newAnnotation(on, key, value string) (annotation, error) {
	a := annotation{key: key, value: value}
	kind, platform, given := strings.Cut(strings.TrimSuffix(on, "]"), "[")
	switch a.on = annotated(kind); a.on {
	case "":
		a.on = manifest
	case manifest, wholeIndex, manifestDescriptor, indexDescriptor:
	default:
		return a, fmt.Errorf("an annotation is put on one of %s, %s, %s and %s, not on %q", manifest, wholeIndex, manifestDescriptor, indexDescriptor, on)
	}
	if key == "" {
		return a, fmt.Errorf("an annotation needs a name")
	}
	if !given {
		return a, nil
	}
	p, err := platforms.Parse(platform)
	a.platform = &p
	return a, err
}

// parseAnnotation reads --annotation: [KIND[PLATFORM][,KIND...]:]KEY=VALUE.
func parseAnnotation(s string) (annotations, error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok {
		return nil, fmt.Errorf("%q is not NAME=VALUE", s)
	}
	kinds := ""
	if on, rest, ok := strings.Cut(key, ":"); ok {
		kinds, key = on, rest
	}
	var all annotations
	for on := range strings.SplitSeq(kinds, ",") {
		a, err := newAnnotation(on, key, value)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// outputAnnotation reads an option of --output: annotation[-KIND][[PLATFORM]].KEY=VALUE.
func outputAnnotation(option, value string) (annotation, error) {
	on := strings.TrimPrefix(option, "annotation")
	end := strings.IndexByte(on, '.')
	if bracket := strings.IndexByte(on, ']'); bracket > end {
		end = bracket + 1
	}
	if end < 0 || end >= len(on) || on[end] != '.' {
		return annotation{}, fmt.Errorf("unknown option %q", option)
	}
	key := on[end+1:]
	on = strings.TrimPrefix(on[:end], "-")
	if strings.HasPrefix(on, "[") {
		on = string(manifest) + on
	}
	return newAnnotation(on, key, value)
}

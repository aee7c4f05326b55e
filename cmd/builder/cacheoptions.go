//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// cacheSpec is a shared cache as --cache-from or --cache-to names it.
type cacheSpec struct {
	kind cacheKind
	// fields are what was said about it.
	fields map[string]string
	// max shares all steps, required fails the build if that cannot be done, mounts takes cache mounts too.
	max, required, mounts bool
}

// cacheKind is a kind of shared caches.
type cacheKind string

// The kinds of shared caches, as docker buildx calls them.
const (
	cacheRegistry cacheKind = "registry"
	cacheLocal    cacheKind = "local"
	cacheInline   cacheKind = "inline"
	cacheS3       cacheKind = "s3"
	cacheGHA      cacheKind = "gha"
)

// cacheKeys are the fields of each kind of cache beside those that all have. Those of BuildKit that make no
// difference here are accepted: every cache is of image manifests of OCI with layers packed with gzip.
func cacheKeys(kind cacheKind) (needed string, known []string, err error) {
	indifferent := []string{"image-manifest", "oci-mediatypes", "compression", "compression-level", "force-compression", "oci-artifact"}
	switch kind {
	case cacheRegistry:
		return "ref", append(indifferent, "ref"), nil
	case cacheLocal:
		return "", append(indifferent, "dest", "src"), nil
	case cacheInline:
		return "", nil, nil
	case cacheS3:
		return "bucket", []string{
			"bucket", "region", "name", "prefix", "endpoint_url", "use_path_style", "access_key_id", "secret_access_key", "session_token",
		}, nil
	case cacheGHA:
		return "", []string{"scope", "url", "url_v2", "token", "version", "timeout"}, nil
	}
	return "", nil, fmt.Errorf("the type %q is none of registry, local, inline, s3 and gha", kind)
}

// parseCache reads the value of --cache-from or --cache-to. A value without type is the name of a repository.
func parseCache(flag, value string) (spec cacheSpec, err error) {
	if !strings.Contains(value, "=") {
		value = "type=registry,ref=" + value
	}
	if spec, err = readCache(value, flag == "--cache-to"); err != nil {
		return spec, fmt.Errorf("%s %s: %w", flag, value, err)
	}
	return spec, nil
}

func readCache(value string, writes bool) (spec cacheSpec, err error) {
	if spec.fields, err = csvFields(value); err != nil {
		return spec, err
	}
	spec.kind = cacheKind(spec.fields["type"])
	needed, known, err := cacheKeys(spec.kind)
	if err != nil {
		return spec, err
	}
	common := []string{"type", "mounts"}
	if writes {
		common = append(common, "mode", "ignore-error")
	}
	for key := range spec.fields {
		if !slices.Contains(known, key) && !slices.Contains(common, key) {
			return spec, fmt.Errorf("a cache of type %s has no %s; it has %s", spec.kind, key, strings.Join(append(common, known...), ", "))
		}
	}
	if needed != "" && spec.fields[needed] == "" {
		return spec, fmt.Errorf("it needs %s", needed)
	}
	return spec, spec.readCommon(writes)
}

// readCommon reads the fields that all kinds have.
func (s *cacheSpec) readCommon(writes bool) (err error) {
	switch s.fields["mode"] {
	case "max":
		s.max = true
	case "min", "":
	default:
		return fmt.Errorf("mode=%s: it must be min or max", s.fields["mode"])
	}
	ignore := true
	for key, value := range map[string]*bool{"mounts": &s.mounts, "ignore-error": &ignore} {
		if text := s.fields[key]; text != "" {
			if *value, err = strconv.ParseBool(text); err != nil {
				return fmt.Errorf("%s=%s: it must be true or false", key, text)
			}
		}
	}
	s.required = !ignore
	if c := s.fields["compression"]; c != "" && c != "gzip" {
		return fmt.Errorf("compression=%s: layers are packed with gzip", c)
	}
	directory := map[bool]string{true: "dest", false: "src"}[writes]
	if s.kind == cacheLocal && s.fields[directory] == "" {
		return fmt.Errorf("it needs %s", directory)
	}
	if s.kind == cacheInline && (!writes || s.max || s.mounts) {
		return fmt.Errorf("an inline cache is written with type=inline (mode=min, no mounts) and read with type=registry")
	}
	return nil
}

func (o *buildOptions) readCaches() error {
	for _, value := range o.buildFlags.cacheFrom {
		spec, err := parseCache("--cache-from", value)
		if err != nil {
			return err
		}
		o.cacheFrom = append(o.cacheFrom, spec)
	}
	for _, value := range o.buildFlags.cacheTo {
		spec, err := parseCache("--cache-to", value)
		if err != nil {
			return err
		}
		o.cacheTo = append(o.cacheTo, spec)
	}
	return nil
}

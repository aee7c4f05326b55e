//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// outputOption is an option of --output.
type outputOption struct {
	// kinds are the outputs that have it.
	kinds []outputKind
	set   func(spec *outputSpec, value string) error
}

// outputOptions are all options but type and annotations, by BuildKit's names.
func outputOptions() map[string]outputOption {
	images := []outputKind{outputImage, outputOCI, outputDocker, outputCacheOnly}
	registries := []outputKind{outputImage}
	files := []outputKind{outputLocal, outputTar}
	written := []outputKind{outputLocal, outputTar, outputOCI, outputDocker}
	return map[string]outputOption{
		"dest":                  {written, text(func(s *outputSpec) *string { return &s.dest })},
		"name":                  {images, func(s *outputSpec, value string) error { s.names = strings.Split(value, ","); return nil }},
		"push":                  {registries, flag(func(s *outputSpec) *bool { return &s.push })},
		"push-by-digest":        {registries, flag(func(s *outputSpec) *bool { return &s.byDigest })},
		"name-canonical":        {registries, flag(func(s *outputSpec) *bool { return &s.canonical })},
		"registry.insecure":     {registries, flag(func(s *outputSpec) *bool { return &s.insecure })},
		"oci-mediatypes":        {images, not(func(s *outputSpec) *bool { return &s.dockerTypes })},
		"prefer-nondist-layers": {images, flag(func(s *outputSpec) *bool { return &s.nonDistributable })},
		"attest":                {images, (*outputSpec).setAttestations},
		"compression":           {images, text(func(s *outputSpec) *string { return &s.compression.kind })},
		"compression-level":     {images, text(func(s *outputSpec) *string { return &s.compression.level })},
		"force-compression":     {images, flag(func(s *outputSpec) *bool { return &s.compression.force })},
		"rewrite-timestamp":     {images, flag(func(s *outputSpec) *bool { return &s.rewriteTimes })},
		"source-date-epoch":     {append(images, files...), setEpoch},
		"tar":                   {[]outputKind{outputOCI}, not(func(s *outputSpec) *bool { return &s.directory })},
		"platform-split":        {files, setSplit},
		"src":                   {files, text(func(s *outputSpec) *string { return &s.source })},
		"mode":                  {[]outputKind{outputLocal}, setMode},
	}
}

// set understands one option of an output.
func (spec *outputSpec) set(key, value string) error {
	if strings.HasPrefix(key, "annotation") {
		a, err := outputAnnotation(key, value)
		spec.annotations = append(spec.annotations, a)
		return err
	}
	option, ok := outputOptions()[key]
	if !ok {
		return fmt.Errorf("unknown option %q", key)
	}
	if !slices.Contains(option.kinds, spec.kind) {
		return fmt.Errorf("type=%s has no %s", spec.kind, key)
	}
	if err := option.set(spec, value); err != nil {
		return fmt.Errorf("%s=%s: %w", key, value, err)
	}
	return nil
}

// text sets a text.
func text(field func(*outputSpec) *string) func(*outputSpec, string) error {
	return func(spec *outputSpec, value string) error {
		*field(spec) = value
		return nil
	}
}

// flag sets what is true or false; empty is true.
func flag(field func(*outputSpec) *bool) func(*outputSpec, string) error {
	return func(spec *outputSpec, value string) (err error) {
		*field(spec), err = strconv.ParseBool(first(value, "true"))
		if err != nil {
			return fmt.Errorf("it must be true or false")
		}
		return nil
	}
}

// not sets the opposite of what is said.
func not(field func(*outputSpec) *bool) func(*outputSpec, string) error {
	set := flag(field)
	return func(spec *outputSpec, value string) error {
		err := set(spec, value)
		*field(spec) = !*field(spec)
		return err
	}
}

func setSplit(spec *outputSpec, value string) error {
	spec.platformSplit = new(bool)
	return flag(func(s *outputSpec) *bool { return s.platformSplit })(spec, value)
}

func setMode(spec *outputSpec, value string) error {
	if value != "copy" && value != "delete" {
		return fmt.Errorf("it must be copy or delete")
	}
	spec.remove = value == "delete"
	return nil
}

func setEpoch(spec *outputSpec, value string) error {
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return fmt.Errorf("it must be a number of seconds since 1970")
	}
	spec.epoch = &seconds
	return nil
}

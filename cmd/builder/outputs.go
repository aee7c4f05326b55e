//go:build linux

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// outputSpec is one --output.
type outputSpec struct {
	kind outputKind
	dest string
	// names are where the image is pushed, or what it is called.
	names []string
	push  bool
	// byDigest pushes without a tag.
	byDigest, canonical bool
	dockerTypes         bool
	// directory writes an OCI layout as a directory.
	directory bool
	// platformSplit is nil if nobody said.
	platformSplit *bool
	annotations   annotations
}

// outputKind is the type of an output.
type outputKind string

const (
	outputImage     outputKind = "image"
	outputOCI       outputKind = "oci"
	outputDocker    outputKind = "docker"
	outputLocal     outputKind = "local"
	outputTar       outputKind = "tar"
	outputCacheOnly outputKind = "cacheonly"
	outputLoad      outputKind = "load"
)

// readOutputs decides what happens to the result. -t names where to push to, unless something else is said.
func (o *buildOptions) readOutputs() error {
	for _, s := range o.buildFlags.outputs {
		spec, err := parseOutput(s)
		if err != nil {
			return fmt.Errorf("--output %q: %w", s, err)
		}
		o.outputs = append(o.outputs, spec)
	}
	if o.load {
		o.outputs = append(o.outputs, outputSpec{kind: outputLoad})
	}
	if o.push && o.noPush {
		return errors.New("--push and --no-push exclude each other")
	}
	asked := o.push || len(o.outputs) == 0 && len(o.tags) > 0 && !o.noPush
	for i := range o.outputs {
		if spec := &o.outputs[i]; spec.kind == outputImage {
			spec.push = (spec.push || o.push) && !o.noPush
			asked = false
		}
	}
	if asked {
		o.outputs = append(o.outputs, outputSpec{kind: outputImage, push: true})
	}
	for i := range o.outputs {
		if spec := &o.outputs[i]; len(spec.names) == 0 {
			spec.names = o.tags
		}
	}
	if err := o.readAnnotations(); err != nil {
		return err
	}
	return o.agreeing()
}

// readAnnotations adds --annotation to the outputs that have images.
func (o *buildOptions) readAnnotations() error {
	for _, s := range o.buildFlags.annotations {
		a, err := parseAnnotation(s)
		if err != nil {
			return fmt.Errorf("--annotation: %w", err)
		}
		for i := range o.outputs {
			o.outputs[i].annotations = append(o.outputs[i].annotations, a...)
		}
	}
	return nil
}

// agreeing checks that the outputs make sense together.
func (o *buildOptions) agreeing() error {
	streams := 0
	for _, spec := range o.outputs {
		if spec.push && len(spec.names) == 0 {
			return errors.New("pushing needs a name: -t REGISTRY/REPOSITORY:TAG")
		}
		if spec.dest == "-" {
			streams++
		}
		if spec.kind == outputLoad && len(o.platforms) > 1 {
			return errors.New("--load takes an image for one platform; push a multi-platform image, or write it with --output type=oci")
		}
	}
	if streams > 1 {
		return errors.New("only one output can go to standard output")
	}
	return nil
}

// parseOutput reads TYPE options, or a directory, or "-" for a tar on standard output.
func parseOutput(s string) (spec outputSpec, err error) {
	if s == "-" {
		return outputSpec{kind: outputTar, dest: "-"}, nil
	}
	if !strings.Contains(s, "=") {
		return outputSpec{kind: outputLocal, dest: s}, nil
	}
	fields, err := csvFields(s)
	if err != nil {
		return spec, err
	}
	kind := fields["type"]
	delete(fields, "type")
	switch kind {
	case "registry":
		spec.kind, spec.push = outputImage, true
	case "image", "oci", "docker", "local", "tar", "cacheonly":
		spec.kind = outputKind(kind)
	case "":
		return spec, errors.New("it needs a type")
	default:
		return spec, fmt.Errorf("unknown type %q: it is one of registry, image, oci, docker, local, tar, cacheonly", kind)
	}
	for key, value := range fields {
		if err := spec.set(key, value); err != nil {
			return spec, err
		}
	}
	return spec, spec.check()
}

// set understands one option of an output.
func (spec *outputSpec) set(key, value string) (err error) {
	if strings.HasPrefix(key, "annotation") {
		a, err := outputAnnotation(key, value)
		spec.annotations = append(spec.annotations, a)
		return err
	}
	flag := func(to *bool) error {
		*to, err = strconv.ParseBool(first(value, "true"))
		if err != nil {
			return fmt.Errorf("%s=%s: it must be true or false", key, value)
		}
		return nil
	}
	switch key {
	case "dest":
		spec.dest = value
		return nil
	case "name":
		spec.names = strings.Split(value, ",")
		return nil
	case "push":
		return flag(&spec.push)
	case "push-by-digest":
		return flag(&spec.byDigest)
	case "name-canonical":
		return flag(&spec.canonical)
	case "platform-split":
		spec.platformSplit = new(bool)
		return flag(spec.platformSplit)
	case "tar":
		err := flag(&spec.directory)
		spec.directory = !spec.directory
		return err
	case "oci-mediatypes":
		err := flag(&spec.dockerTypes)
		spec.dockerTypes = !spec.dockerTypes
		return err
	}
	return fmt.Errorf("unknown option %q", key)
}

func (spec *outputSpec) check() error {
	switch spec.kind {
	case outputOCI, outputLocal, outputTar, outputDocker:
		if spec.dest == "" {
			return errors.New("it needs a dest")
		}
		if spec.dest == "-" && (spec.kind == outputLocal || spec.directory) {
			return errors.New("a directory cannot be written to standard output")
		}
	case outputImage, outputCacheOnly, outputLoad:
		if spec.dest != "" {
			return fmt.Errorf("type=%s has no dest", spec.kind)
		}
	}
	return nil
}

//go:build linux

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/snapshot"
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
	// nonDistributable keeps such layers out of registries.
	nonDistributable bool
	// insecure allows http, and any certificate.
	insecure bool
	// directory writes an OCI layout as a directory.
	directory bool
	// platformSplit is nil if nobody said.
	platformSplit *bool
	// source is the directory of the image that is written.
	source string
	// remove empties a directory of what is not in the result.
	remove      bool
	compression outputCompression
	// rewriteTimes makes no file of the layers younger than the epoch, which is epoch, if that is not nil.
	rewriteTimes bool
	epoch        *int64
	annotations  annotations
	attestations exporter.Attestations
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
	if err := checkEngine(o.load); err != nil {
		return err
	}
	if o.load != "" {
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
	o.readOutputHosts()
	if err := o.readAnnotations(); err != nil {
		return err
	}
	if err := o.readPreset(); err != nil {
		return err
	}
	return o.agreeing()
}

// readOutputHosts makes registry.insecure of an output what --insecure is.
func (o *buildOptions) readOutputHosts() {
	for _, spec := range o.outputs {
		for _, n := range spec.names {
			if ref, err := name.ParseReference(n); err == nil && spec.insecure { // what is wrong with it is told later
				o.insecure = append(o.insecure, ref.Context().RegistryStr())
			}
		}
	}
}

// rewriteTimes reports whether an output wants no file to be younger than the epoch.
func (o *buildOptions) rewriteTimes() bool {
	return o.reproducible || slices.ContainsFunc(o.outputs, func(spec outputSpec) bool { return spec.rewriteTimes })
}

// readAnnotations adds --annotation to the outputs that have images.
func (o *buildOptions) readAnnotations() error {
	for _, s := range o.annotations {
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
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if err := spec.set(key, fields[key]); err != nil {
			return spec, err
		}
	}
	if spec.kind == outputDocker && spec.dest == "" {
		spec.kind = outputLoad
	}
	return spec, spec.check()
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
	}
	if err := spec.compression.check(); err != nil {
		return err
	}
	if way := spec.compression.way; way != nil && way.Kind == snapshot.EStargz && spec.dockerTypes {
		return errors.New("compression=estargz needs OCI media types, whose manifests have the place for what its readers need to know")
	}
	return nil
}

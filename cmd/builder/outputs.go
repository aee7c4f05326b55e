//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/registry"
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
	annotations   map[string]string
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
	return o.checkOutputs()
}

func (o *buildOptions) checkOutputs() error {
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
	if annotation, ok := strings.CutPrefix(key, "annotation"); ok {
		if spec.annotations == nil {
			spec.annotations = map[string]string{}
		}
		spec.annotations[annotation] = value
		return nil
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

// stream returns standard output if that is where an output goes.
func (spec *outputSpec) stream() io.Writer {
	if spec.dest == "-" {
		return os.Stdout
	}
	return nil
}

// open returns the exporter of an output.
func (spec *outputSpec) open(client *registry.Client) (exporter.Output, error) {
	switch spec.kind {
	case outputImage:
		if !spec.push {
			return exporter.CacheOnly{}, nil
		}
		return exporter.NewRegistry(exporter.RegistryOptions{
			Names: spec.names, ByDigest: spec.byDigest, Canonical: spec.canonical,
			Open: func(r name.Repository) (exporter.Pusher, error) { return client.Pusher(r) },
		})
	case outputOCI:
		if spec.directory {
			return exporter.Layout{Dir: spec.dest, Names: spec.names}, nil
		}
		return exporter.Archive{Path: spec.dest, Stream: spec.stream(), Names: spec.names}, nil
	case outputDocker:
		return exporter.Archive{Path: spec.dest, Stream: spec.stream(), Names: spec.names, Docker: true}, nil
	case outputLocal:
		return exporter.Local{Dir: spec.dest, Files: exporter.Files{Split: spec.platformSplit}}, nil
	case outputTar:
		return exporter.Tar{Path: spec.dest, Stream: spec.stream(), Files: exporter.Files{Split: spec.platformSplit}}, nil
	case outputLoad:
		return loader{names: spec.names}, nil
	case outputCacheOnly:
	}
	return exporter.CacheOnly{}, nil
}

// loader loads an image into the container engine that is there.
type loader struct {
	names []string
}

// Write implements exporter.Output.
func (l loader) Write(ctx context.Context, r exporter.Result) (exporter.Written, error) {
	program, err := engine()
	if err != nil {
		return exporter.Written{}, err
	}
	cmd := exec.CommandContext(ctx, program, "load")
	in, err := cmd.StdinPipe()
	if err != nil {
		return exporter.Written{}, err
	}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		return exporter.Written{}, fmt.Errorf("loading the image: %w", err)
	}
	written, err := exporter.Archive{Stream: in, Names: l.names, Docker: true}.Write(ctx, r)
	in.Close()
	if waiting := cmd.Wait(); err == nil && waiting != nil {
		err = fmt.Errorf("%s load: %w", program, waiting)
	}
	return written, err
}

// engine returns the program that loads images.
func engine() (string, error) {
	for _, program := range []string{"docker", "podman", "nerdctl"} {
		if path, err := exec.LookPath(program); err == nil {
			return path, nil
		}
	}
	return "", errors.New("--load needs docker, podman or nerdctl, and none of them is installed; write the image with --output type=docker,dest=FILE")
}

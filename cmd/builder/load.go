//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// engine is a container engine of this machine.
type engine struct {
	name string
	// probe is a command that succeeds if the engine runs, load one that takes an archive on standard input.
	probe, load []string
}

// engines are those that images can be loaded into, in the order in which they are tried.
func engines() []engine {
	return []engine{
		{"docker", []string{"docker", "version", "--format", "{{.Server.Version}}"}, []string{"docker", "load"}},
		{"podman", []string{"podman", "--version"}, []string{"podman", "load"}},
		{"nerdctl", []string{"nerdctl", "info", "--format", "{{.ServerVersion}}"}, []string{"nerdctl", "load"}},
		{"containerd", []string{"ctr", "version"}, []string{"ctr", "images", "import", "-"}},
	}
}

// loadAny is the value of --load that takes the first engine that runs.
const loadAny = "auto"

// checkEngine checks the value of --load.
func checkEngine(name string) error {
	known := []string{loadAny}
	for _, e := range engines() {
		known = append(known, e.name)
	}
	if name == "" || slices.Contains(known, name) {
		return nil
	}
	return fmt.Errorf("--load=%s: it must be one of %s", name, strings.Join(known, ", "))
}

// loader loads an image into a container engine: --load.
type loader struct {
	host  *sandbox.Host
	names []string
	// wanted is the name of an engine, or loadAny.
	wanted string
	engine engine
}

// find looks for the engine. It is told before anything is built if there is none.
func (l *loader) find(ctx context.Context) error {
	var tried []string
	for _, e := range engines() {
		if l.wanted != loadAny && l.wanted != e.name {
			continue
		}
		err := l.probe(ctx, e)
		if err == nil {
			l.engine = e
			return nil
		}
		tried = append(tried, fmt.Sprintf("%s: %v", e.name, err))
	}
	return fmt.Errorf("--load finds no engine (%s); start one, or write the image with --output type=docker,dest=FILE", strings.Join(tried, "; "))
}

// probe finds out whether an engine runs.
func (l *loader) probe(ctx context.Context, e engine) error {
	if _, err := exec.LookPath(e.probe[0]); err != nil {
		return errors.New("not installed")
	}
	return l.run(ctx, e.probe, nil)
}

// run runs a program of the engine as the user and outside of all namespaces: it has its own.
func (l *loader) run(ctx context.Context, command []string, stdin io.Reader) error {
	var said bytes.Buffer
	err := l.host.Outside(ctx, sandbox.Program{Args: command, Stdin: stdin, Stdout: &said, Stderr: &said})
	if err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, lines[len(lines)-1])
	}
	return nil
}

// Write implements exporter.Output.
func (l *loader) Write(ctx context.Context, r exporter.Result) (exporter.Written, error) {
	archive, stream := io.Pipe()
	var written exporter.Written
	writing := make(chan error, 1)
	go func() {
		var err error
		written, err = exporter.Archive{Stream: stream, Names: l.names, Docker: true}.Write(ctx, r)
		stream.CloseWithError(err)
		writing <- err
	}()
	err := l.run(ctx, l.engine.load, archive)
	archive.CloseWithError(errors.New("the engine has stopped reading"))
	if failed := <-writing; err == nil {
		err = failed
	}
	if err != nil {
		return written, fmt.Errorf("loading the image into %s: %w", l.engine.name, err)
	}
	return written, nil
}

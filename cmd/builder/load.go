//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"

	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// loader loads an image into the container engine of this machine: --load.
type loader struct {
	host  *sandbox.Host
	names []string
}

// engine returns the command of the first engine there is.
func (l loader) engine() ([]string, error) {
	for _, program := range []string{"docker", "podman", "nerdctl"} {
		if path, err := exec.LookPath(program); err == nil {
			return []string{path, "load"}, nil
		}
	}
	return nil, errors.New("--load needs docker, podman or nerdctl, and none of them is installed; write the image with --output type=docker,dest=FILE")
}

// name is what the engine is called.
func (l loader) name() string {
	command, err := l.engine()
	if err != nil {
		return ""
	}
	return filepath.Base(command[0])
}

// Write implements exporter.Output. The engine runs as the user and outside of all namespaces: it has
// its own.
func (l loader) Write(ctx context.Context, r exporter.Result) (exporter.Written, error) {
	command, err := l.engine()
	if err != nil {
		return exporter.Written{}, err
	}
	archive, stream := io.Pipe()
	var written exporter.Written
	writing := make(chan error, 1)
	go func() {
		var err error
		written, err = exporter.Archive{Stream: stream, Names: l.names, Docker: true}.Write(ctx, r)
		stream.CloseWithError(err)
		writing <- err
	}()
	var said bytes.Buffer
	err = l.host.Outside(ctx, sandbox.Program{Args: command, Stdin: archive, Stdout: &said, Stderr: &said})
	archive.CloseWithError(errors.New("the engine has stopped reading"))
	if failed := <-writing; err == nil {
		err = failed
	}
	if err != nil {
		return written, fmt.Errorf("loading the image into %s: %w: %s", l.name(), err, bytes.TrimSpace(said.Bytes()))
	}
	return written, nil
}

//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// failure says what went wrong: with the lines of the Dockerfile and with what to do about it.
func failure(err error, dockerfile []byte) display.Failure {
	f := display.Failure{Message: err.Error(), Hints: hints(err)}
	var vertex *solver.VertexError
	var located *frontend.Error
	var leak *leakError
	switch {
	case errors.As(err, &leak):
		f.Message, f.Excerpt = leak.Error(), frontend.Excerpt(dockerfile, leak.at)
		if leak.at.Start > 0 {
			f.Message = fmt.Sprintf("%s:%d: %s", leak.at.File, leak.at.Start, leak.text)
		}
	case errors.As(err, &vertex):
		at := vertex.Vertex.Step.Location
		f.Vertex = vertex.Vertex.Digest().String()
		f.Excerpt = frontend.Excerpt(dockerfile, at)
		if at.Start > 0 {
			f.Message = fmt.Sprintf("%s:%d: %s", at.File, at.Start, vertex.Error())
		}
	case errors.As(err, &located):
		f.Excerpt = located.Excerpt()
	}
	return f
}

// hints says what the user could do about an error.
func hints(err error) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	var dns *net.DNSError
	var status *registry.StatusError
	var machine *machineError
	var norung *sandbox.RungError
	var leak *leakError
	switch {
	case errors.As(err, &leak):
		add("what RUN --mount=type=secret shows to a command is in no layer as long as the command does not write it down")
		add("--allow secret-in-layer permits it")
	case errors.As(err, &norung):
		for _, r := range norung.Refusals {
			if r.Fix != "" {
				add("for %s: %s", r.Rung, r.Fix)
			}
		}
		add("'builder doctor' tells what this machine allows and how to change that")
	case errors.As(err, &machine):
		add("'builder doctor' tells what this machine allows and how to change that")
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		add("'builder prune' frees what is not in use; --root puts the store elsewhere")
	case errors.As(err, &dns):
		add("%s could not be looked up: is there a network? A proxy is named with $HTTPS_PROXY", dns.Name)
	case errors.Is(err, unix.ECONNREFUSED):
		add("nothing listens there; is the name right, and its port?")
	case errors.As(err, &status) && (status.Status == 401 || status.Status == 403):
		add("credentials are taken from ~/.docker/config.json, $DOCKER_CONFIG, $REGISTRY_AUTH_FILE and containers/auth.json")
	case errors.As(err, &status) && status.Status == 404:
		add("there is no such image; is the name right, and its tag? Some registries answer so to whom they do not know")
	case errors.Is(err, exec.ErrNotFound):
		add("a program that is needed is not installed, or not in $PATH")
	}
	return list
}

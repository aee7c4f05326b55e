package frontend

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/seed-298d225e/builder/solver"
)

// state is what a stage has come to after some of its instructions.
type state struct {
	*lowerer
	stage    *stage
	tree     *solver.Vertex
	platform v1.Platform
	// base is the image at the bottom of the tree, nil if there is none.
	base *Base
	// image is the config so far, but for its environment, which is vars.
	image dockerspec.DockerOCIImage
	vars  *variables
	// env is what commands see: vars and arguments, whichever was set last.
	env *variables
	// args are the arguments that were declared, with the values that they were given.
	args *variables
	// steps counts the vertices made so far, total those that there will be.
	steps, total int
	// workdir: there was a WORKDIR.
	workdir bool
	outline *outline

	// lint and trigger are those of the instruction at work.
	lint    *linter.Linter
	trigger bool
	// Where the latest CMD, ENTRYPOINT and HEALTHCHECK of this stage stand.
	cmdAt, entrypointAt, healthcheckAt []parser.Range
}

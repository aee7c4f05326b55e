package frontend

import (
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// stage is a FROM and the instructions that follow it, or a name that is not of a stage but is copied or
// mounted from all the same; then it has no instructions.
type stage struct {
	// from is the FROM instruction, its base's name and its platform expanded.
	from   instructions.Stage
	number int
	// foreign: the stage is only a name to copy from.
	foreign bool
	// base is the stage that this one continues; nil if it begins from something else. Then ref is the full
	// name of that, empty for scratch.
	base *stage
	ref  string
	// platform is what --platform says, nil if it does not.
	platform *v1.Platform
	// context is the named context that replaces the whole stage, empty if there is none.
	context  string
	commands []command
	// usesArgs are the global arguments that FROM refers to.
	usesArgs map[string]struct{}
}

// command is an instruction and the stages it copies or mounts from.
type command struct {
	instructions.Command
	// sources are the stage of COPY --from, or those of the mounts of RUN in order; nil stands for the
	// build context, or for nothing.
	sources []*stage
	// trigger: the instruction was put off by ONBUILD.
	trigger bool
}

// label is what a stage is called in progress and errors: its name, or its number if it has none.
func (s *stage) label() string {
	switch {
	case s.foreign:
		return s.from.BaseName
	case s.from.Name != "":
		return s.from.Name
	}
	return strconv.Itoa(s.number)
}

// vertices counts the instructions that make a vertex.
func (s *stage) vertices() int {
	if s.context != "" {
		return 0
	}
	n := 0
	for _, c := range s.commands {
		switch c.Command.(type) {
		case *instructions.RunCommand, *instructions.CopyCommand, *instructions.AddCommand, *instructions.WorkdirCommand:
			n++
		}
	}
	return n
}

// triggers returns the instructions that the stage puts off to those that continue it.
func (s *stage) triggers() []string {
	var list []string
	for _, c := range s.commands {
		if onbuild, ok := c.Command.(*instructions.OnbuildCommand); ok {
			list = append(list, onbuild.Expression)
		}
	}
	return list
}

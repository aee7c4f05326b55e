package frontend

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/seed-298d225e/builder/solver"
)

// push puts a vertex on the tree of the stage.
func (s *state) push(op solver.Op, step solver.Step, in inputs) {
	epoch := s.epoch
	if _, ok := op.(solver.Mkdir); !ok && !s.req.RewriteTimes {
		epoch = nil // as in BuildKit, whose layers have the times that files have
	}
	s.tree = solver.NewVertex(solver.Vertex{
		Op: op, Platform: s.platform, Inputs: append([]*solver.Vertex{s.tree}, in.list...),
		Epoch: epoch, NoCache: s.req.noCache(s.stage), Step: step,
	})
}

// step counts one more vertex, which comes from c and is shown as text.
func (s *state) step(c instructions.Command, text string) solver.Step {
	s.steps++
	word := text[:len(text)-len(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
	text = strings.ToUpper(word) + text[len(word):]
	if s.trigger {
		text = "ONBUILD " + text
	}
	return solver.Step{
		Stage: s.stage.label(), Index: s.steps, Total: s.total,
		Text: printable(text), Location: s.file.location(c.Location()),
	}
}

// inputs collects what a vertex copies or mounts from. The first input is the tree that is built upon, so
// the ones collected are counted from 1.
type inputs struct {
	list    []*solver.Vertex
	numbers map[v1.Hash]int
}

// number returns the number of the input that v is.
func (in *inputs) number(v *solver.Vertex) int {
	n, ok := in.numbers[v.Digest()]
	if !ok {
		in.list = append(in.list, v)
		n = len(in.list)
		if in.numbers == nil {
			in.numbers = map[v1.Hash]int{}
		}
		in.numbers[v.Digest()] = n
	}
	return n
}

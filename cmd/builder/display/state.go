package display

import (
	"time"

	"github.com/seed-298d225e/builder/solver"
)

// maxRemarks bounds how many warnings and notices are remembered in order not to repeat them.
const maxRemarks = 1000

// State is what is known about a build: the sum of its events. The zero value is a build of which
// nothing has happened. Its size depends on the number of steps, not on what they write.
type State struct {
	// Began is when the build began: at the latest with the first event.
	Began time.Time
	// Steps are the steps that something was heard of, in that order.
	Steps []*Step
	// Transfers are those that belong to no step.
	Transfers transfers
	// Warnings is how many different warnings there were.
	Warnings int

	byVertex map[string]*Step
	remarks  map[string]bool
}

// Change is what an event did to a state.
type Change struct {
	// Step is the step that the event is about; nil if it is about the whole build.
	Step *Step
	// Lines are the lines of output that are now complete.
	Lines []string
	// Transfer, if not nil, has moved on.
	Transfer *Transfer
	// Remark is the text of a warning or notice, with its place, that was not made before.
	Remark string
}

// Apply takes in an event and tells what it changed.
func (s *State) Apply(e solver.Event) Change {
	if s.Began.IsZero() {
		s.Began = e.Time
	}
	c := Change{Step: s.step(e)}
	switch e.Action {
	case solver.ActionStart:
		c.Step.start(e)
	case solver.ActionCached:
		c.Step.end(e, Cached)
	case solver.ActionOutput:
		c.Lines = c.Step.write(e.Output)
	case solver.ActionDone:
		c.Lines = c.Step.end(e, Done)
	case solver.ActionFailed:
		c.Lines = c.Step.end(e, Failed)
	case solver.ActionProgress:
		c.Transfer = s.transfer(e, c.Step)
	case solver.ActionWarning, solver.ActionNotice:
		c.Remark = s.remark(e, c.Step)
	}
	return c
}

// step returns the step that e is about. One that is new to the state is added if the event says what
// it is or cannot be understood without it.
func (s *State) step(e solver.Event) *Step {
	key := e.Vertex.String()
	if step := s.byVertex[key]; step != nil {
		if e.Step.Text != "" {
			step.Step, step.Platform = e.Step, e.Platform.String()
		}
		return step
	}
	switch e.Action {
	case solver.ActionProgress, solver.ActionWarning, solver.ActionNotice:
		if e.Step.Text == "" || e.Vertex.Hex == "" {
			return nil
		}
	case solver.ActionStart, solver.ActionCached, solver.ActionOutput, solver.ActionDone, solver.ActionFailed:
	}
	step := &Step{Number: len(s.Steps) + 1, Step: e.Step, Platform: e.Platform.String()}
	if s.byVertex == nil {
		s.byVertex = map[string]*Step{}
	}
	s.byVertex[key] = step
	s.Steps = append(s.Steps, step)
	return step
}

func (s *State) transfer(e solver.Event, step *Step) *Transfer {
	list := &s.Transfers
	if step != nil {
		list = &step.Transfers
	}
	t, changed := list.update(e.Time, e.Text, e.Current, e.Total)
	if !changed {
		return nil
	}
	return t
}

// remark returns the text of a warning or a notice with its place; empty if it was made before.
// Lowering a file once per platform finds the same things every time.
func (s *State) remark(e solver.Event, step *Step) string {
	place := e.Step.Location
	if step != nil && place.File == "" {
		place = step.Location
	}
	text := e.Text
	if at := position(place); at != "" {
		text = at + ": " + text
	}
	key := string(e.Action) + text
	if s.remarks[key] {
		return ""
	}
	if s.remarks == nil {
		s.remarks = map[string]bool{}
	}
	if len(s.remarks) < maxRemarks {
		s.remarks[key] = true
	}
	if e.Action == solver.ActionWarning {
		s.Warnings++
	}
	return text
}

// count is how many steps have the status.
func (s *State) count(status Status) int {
	n := 0
	for _, step := range s.Steps {
		if step.Status == status {
			n++
		}
	}
	return n
}

package display

import (
	"fmt"
	"time"

	"github.com/seed-298d225e/builder/solver"
)

// Status says how far a step has come.
type Status int

// The statuses of a step.
const (
	// Named: the step was mentioned but did not begin.
	Named Status = iota
	Running
	// Done: the step ran and ended well.
	Done
	// Cached: the result was there before.
	Cached
	Failed
)

// Step is what is known about one step of a build.
type Step struct {
	solver.Step
	// Number counts the steps in the order in which something was heard of them, from 1.
	Number int
	// Platform is what the step is done for; empty if that was not said.
	Platform string
	Status   Status
	// Began and Ended are zero for what did not happen.
	Began, Ended time.Time
	// Reason says why the step ran although there is a cache; empty if that was not said.
	Reason string
	// Err says why the step failed.
	Err string
	// Transfers are those made for the step.
	Transfers transfers

	lines splitter
	tail  tail
}

func (s *Step) start(e solver.Event) {
	s.Status, s.Began, s.Reason = Running, e.Time, e.Text
}

// write takes in output of the step's command and returns the lines that it completes.
func (s *Step) write(p []byte) []string {
	return s.keep(s.lines.add(p))
}

// end gives the step its last status and returns the line of output that had not ended. Only of a
// step that failed the output is still of interest.
func (s *Step) end(e solver.Event, status Status) []string {
	lines := s.keep(s.lines.flush())
	s.Status, s.Ended, s.Err = status, e.Time, e.Err
	if status != Failed {
		s.tail = tail{}
	}
	return lines
}

func (s *Step) keep(lines []string) []string {
	for _, l := range lines {
		s.tail.add(l)
	}
	return lines
}

// Output returns the last lines of what the step's command wrote, at most n, one that has not ended
// included.
func (s *Step) Output(n int) []string {
	if line := s.lines.unfinished(); line != "" {
		return append(s.tail.last(n-1), line)
	}
	return s.tail.last(n)
}

// Elapsed is how long the step has been running at the time now, or has run; 0 if it did not begin.
func (s *Step) Elapsed(now time.Time) time.Duration {
	switch {
	case s.Began.IsZero():
		return 0
	case !s.Ended.IsZero():
		now = s.Ended
	}
	return max(0, now.Sub(s.Began))
}

// position is where an instruction stands, as file:line; empty if that is nowhere.
func position(l solver.Location) string {
	if l.File == "" || l.Start == 0 {
		return l.File
	}
	return fmt.Sprintf("%s:%d", l.File, l.Start)
}

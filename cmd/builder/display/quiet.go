package display

import (
	"time"

	"github.com/seed-298d225e/builder/solver"
)

// quiet draws nothing but a failure.
type quiet struct{ look }

func (quiet) event(*State, solver.Event, Change) string { return "" }

func (quiet) frame(*State, time.Time) string { return "" }

func (q quiet) end(s *State, now time.Time, result ending) string {
	switch result := result.(type) {
	case Failure:
		return result.text(q.look, s, now)
	default:
		return ""
	}
}

package display

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-298d225e/builder/solver"
)

// reportEvery is the time between two lines about one transfer.
const reportEvery = 5 * time.Second

// words puts events into lines of plain text.
type words struct {
	look
	// reported is when a line about a transfer that goes on was last written.
	reported map[*Transfer]time.Time
}

func newWords(l look) words { return words{look: l, reported: map[*Transfer]time.Time{}} }

// lines says what happened; empty if that is not worth a line.
func (w words) lines(e solver.Event, c Change) string {
	var b strings.Builder
	for _, line := range c.Lines {
		b.WriteString(w.line(c.Step, fmt.Sprintf("%.3f %s", c.Step.Elapsed(e.Time).Seconds(), w.output(line))))
	}
	if text := w.outcome(e, c); text != "" {
		b.WriteString(w.line(c.Step, text))
	}
	return b.String()
}

// outcome is the line of an event itself, without what its command wrote.
func (w words) outcome(e solver.Event, c Change) string {
	switch e.Action {
	case solver.ActionStart:
		if e.Text != "" {
			return "not cached: " + safe(e.Text)
		}
	case solver.ActionCached:
		return w.paint(cyan, "CACHED") + " " + w.title(c.Step)
	case solver.ActionDone:
		return w.paint(green, "done") + w.after(c.Step, e.Time)
	case solver.ActionFailed:
		return w.paint(red, "FAILED") + w.after(c.Step, e.Time) + ": " + sentence(e.Err)
	case solver.ActionProgress:
		if c.Transfer != nil {
			return w.transfer(c.Transfer, e.Time)
		}
	case solver.ActionWarning:
		if c.Remark != "" {
			return w.paint(yellow, "warning:") + " " + sentence(c.Remark)
		}
	case solver.ActionNotice:
		if c.Remark != "" {
			return "notice: " + sentence(c.Remark)
		}
	case solver.ActionOutput:
	}
	return ""
}

// transfer tells of a transfer every now and then, and when it ends.
func (w words) transfer(t *Transfer, now time.Time) string {
	if t.Done() {
		delete(w.reported, t)
		return safe(t.Name) + " " + t.result()
	}
	last, ok := w.reported[t]
	if ok && now.Sub(last) < reportEvery {
		return ""
	}
	w.reported[t] = now
	if !ok {
		return ""
	}
	return safe(t.Name) + " " + t.progress(now)
}

// stopped says that a step did not come to its end.
func (w words) stopped(s *Step, now time.Time) string {
	var b strings.Builder
	if rest := s.lines.unfinished(); rest != "" {
		b.WriteString(w.line(s, w.output(rest)))
	}
	b.WriteString(w.line(s, "stopped"+w.after(s, now)))
	return b.String()
}

// heading is the title of a step as a line, marked if lines of the step stand above already.
func (w words) heading(s *Step, again bool) string {
	if again {
		return w.line(s, w.paint(bold, "… "+w.title(s)))
	}
	return w.line(s, w.paint(bold, w.title(s)))
}

// line is a line about a step, or about no step in particular.
func (w words) line(s *Step, text string) string {
	if s == nil {
		return text + "\n"
	}
	return fmt.Sprintf("#%d %s\n", s.Number, text)
}

// after is how long a step has run, to be put behind a word.
func (w words) after(s *Step, now time.Time) string {
	if s.Began.IsZero() {
		return ""
	}
	return " " + durationText(s.Elapsed(now))
}

// sentence is text on one line, harmless.
func sentence(text string) string {
	var parts []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return safe(strings.Join(parts, "; "))
}

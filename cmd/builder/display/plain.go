package display

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-298d225e/builder/solver"
)

const (
	// patience is how long lines of one step wait for those of another to come to an end.
	patience = 2 * time.Second
	// maxHeld is how many bytes of lines may wait for that.
	maxHeld = 64 << 10
)

// plain draws a build as lines that never change. Every line of a step starts with its number.
//
// Of the steps that run side by side one has the floor: its lines are written as they come, while those
// of the others wait until it ends or patience does, so that what belongs together stands together.
type plain struct {
	words
	floor *Step
	// logs are those of the steps that run.
	logs []*log
	// last is the step under whose title the last line stands; nil if it stands alone.
	last *Step
	// titled are the steps whose title was written.
	titled map[*Step]bool
	// begun: something was written.
	begun bool
}

// log is what a running step has to say.
type log struct {
	step *Step
	// held are lines that have not been written; the oldest waits since then.
	held  strings.Builder
	since time.Time
}

func newPlain(l look) *plain {
	return &plain{words: newWords(l), titled: map[*Step]bool{}}
}

func (p *plain) event(_ *State, e solver.Event, c Change) string {
	lines := p.lines(e, c)
	switch {
	case c.Step == nil || e.Action == solver.ActionCached:
		return p.aside(lines) + p.pass(e.Time)
	case c.Step.Status == Running:
		return p.hold(p.log(c.Step, e.Time), lines, e.Time) + p.pass(e.Time)
	case lines == "":
		return ""
	}
	return p.close(p.log(c.Step, e.Time), lines) + p.pass(e.Time)
}

// frame lets time pass: nobody waits for ever for a step that says nothing.
func (p *plain) frame(_ *State, now time.Time) string { return p.pass(now) }

// end writes what was held back, which steps did not come to an end, and the result.
func (p *plain) end(s *State, now time.Time, result ending) string {
	var b strings.Builder
	for _, l := range p.logs {
		l.held.WriteString(p.stopped(l.step, now))
		b.WriteString(p.write(l))
	}
	p.logs = nil
	if p.begun {
		b.WriteByte('\n')
	}
	b.WriteString(result.text(p.look, s, now))
	return b.String()
}

// log returns the log of a step, a new one if it has none.
func (p *plain) log(s *Step, now time.Time) *log {
	for _, l := range p.logs {
		if l.step == s {
			return l
		}
	}
	l := &log{step: s, since: now}
	p.logs = append(p.logs, l)
	return l
}

// hold adds lines to a log, and writes it if its step has or takes the floor.
func (p *plain) hold(l *log, lines string, now time.Time) string {
	if !p.waits(l) {
		l.since = now
	}
	l.held.WriteString(lines)
	if p.floor == nil || l.held.Len() > maxHeld {
		p.floor = l.step
	}
	if p.floor != l.step {
		return ""
	}
	return p.write(l)
}

// close writes a log for the last time.
func (p *plain) close(l *log, lines string) string {
	l.held.WriteString(lines)
	p.logs = slices.DeleteFunc(p.logs, func(other *log) bool { return other == l })
	if p.floor == l.step {
		p.floor = nil
	}
	return p.write(l)
}

// pass gives the floor to the step that has waited longest, if nobody has it or patience is at its end.
func (p *plain) pass(now time.Time) string {
	var next *log
	for _, l := range p.logs {
		if p.waits(l) && (next == nil || l.since.Before(next.since)) {
			next = l
		}
	}
	if next == nil || p.floor != nil && now.Sub(next.since) < patience {
		return ""
	}
	p.floor = next.step
	return p.write(next)
}

// waits reports whether there is something of l to be written.
func (p *plain) waits(l *log) bool { return l.held.Len() > 0 || !p.titled[l.step] }

// write returns what l holds, below the title of its step unless that is where the last line stands.
func (p *plain) write(l *log) string {
	var b strings.Builder
	if p.last != l.step {
		if p.begun {
			b.WriteByte('\n')
		}
		b.WriteString(p.heading(l.step, p.titled[l.step]))
	}
	b.WriteString(l.held.String())
	l.held.Reset()
	p.titled[l.step], p.last, p.begun = true, l.step, true
	return b.String()
}

// aside returns lines that need no title. They do not interrupt a step that runs.
func (p *plain) aside(lines string) string {
	if lines == "" {
		return ""
	}
	if p.last != nil && p.last.Status != Running {
		p.last, lines = nil, "\n"+lines
	}
	p.begun = true
	return lines
}

package display

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-298d225e/builder/solver"
)

// Sequences of ECMA-48. Only these and colours are written, so that there is no mode of the terminal
// to be restored whenever and however the build ends.
const (
	cursorUp   = "\x1b[%dA"
	eraseLine  = "\x1b[K" // from the cursor on
	eraseBelow = "\x1b[J" // from the cursor on
)

// tty draws a build at the bottom of a terminal: what has ended is left above, what runs is drawn over
// and over again. A frame is one piece of text that writes over the one before.
type tty struct {
	look
	size func() (width, height int)
	// above are rows that will not change any more and have not been written.
	above []row
	// drawn are the widths of the lines that the next frame writes over.
	drawn []int
}

// row is a line of a frame: left is cut to leave room for right, which stands at the right edge.
type row struct {
	left, right string
	paint       paint
}

func (t *tty) event(_ *State, e solver.Event, c Change) string {
	switch e.Action {
	case solver.ActionCached:
		t.leave(row{left: t.name(c.Step), right: "CACHED", paint: cyan})
	case solver.ActionDone:
		t.leave(row{left: t.name(c.Step), right: t.elapsed(c.Step, e.Time)})
	case solver.ActionFailed:
		t.leave(row{left: t.name(c.Step), right: "FAILED " + t.elapsed(c.Step, e.Time), paint: red})
	case solver.ActionProgress:
		if c.Step == nil && c.Transfer != nil && c.Transfer.Done() {
			t.leave(row{left: safe(c.Transfer.Name), right: c.Transfer.result()})
		}
	case solver.ActionWarning:
		if c.Remark != "" {
			t.leave(row{left: "warning: " + sentence(c.Remark), paint: yellow})
		}
	case solver.ActionNotice:
		if c.Remark != "" {
			t.leave(row{left: "notice: " + sentence(c.Remark)})
		}
	case solver.ActionStart, solver.ActionOutput:
	}
	return ""
}

func (t *tty) frame(s *State, now time.Time) string {
	width, height := t.size()
	return t.draw(t.live(s, now, width, height-1), width)
}

// end leaves nothing of the part that changes, and the result below what has ended.
func (t *tty) end(s *State, now time.Time, result ending) string {
	for _, step := range s.Steps {
		if step.Status == Running {
			t.leave(row{left: t.name(step), right: "stopped " + t.elapsed(step, now)})
		}
	}
	width, _ := t.size()
	return t.draw(nil, width) + result.text(t.look, s, now)
}

func (t *tty) leave(r row) { t.above = append(t.above, r) }

// draw returns a frame: the rows that stay, then the rows that the next frame writes over.
func (t *tty) draw(live []row, width int) string {
	var b strings.Builder
	if up := height(t.drawn, width); up > 0 {
		fmt.Fprintf(&b, cursorUp, up)
	}
	b.WriteByte('\r')
	t.drawn = t.drawn[:0]
	for i, r := range append(t.above, live...) {
		line := r.layout(width - 1)
		if i >= len(t.above) {
			t.drawn = append(t.drawn, cellsOf(line))
		}
		b.WriteString(t.paint(r.paint, line) + eraseLine + "\r\n")
	}
	b.WriteString(eraseBelow)
	t.above = nil
	return b.String()
}

// height is how many lines a terminal of this width makes of lines with these widths. Having become
// narrower it has wrapped them.
func height(drawn []int, width int) int {
	n := 0
	for _, cells := range drawn {
		n += max(1, (cells+width-1)/max(1, width))
	}
	return n
}

// layout returns the row as a line of at most n columns.
func (r row) layout(n int) string {
	if r.right == "" {
		return fit(r.left, n)
	}
	left := fit(r.left, n-cellsOf(r.right)-1)
	gap := max(1, n-cellsOf(left)-cellsOf(r.right))
	return fit(left+strings.Repeat(" ", gap)+r.right, n)
}

func (t *tty) name(s *Step) string { return fmt.Sprintf("#%d %s", s.Number, t.title(s)) }

func (t *tty) elapsed(s *Step, now time.Time) string {
	if s.Began.IsZero() {
		return ""
	}
	return durationText(s.Elapsed(now))
}

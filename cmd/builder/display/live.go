package display

import (
	"fmt"
	"strings"
	"time"
)

const (
	// maxDetails is how many lines of output, and how many transfers, a running step shows.
	maxDetails = 6
	// maxShown is how many bytes of a line of output are looked at, more than any terminal is wide.
	maxShown = 2 << 10
	// barShare is how many times wider than a progress bar the terminal is.
	barShare = 6
)

// live returns the rows of what is going on, at most n, for a terminal of this width.
func (t *tty) live(s *State, now time.Time, width, n int) []row {
	if s.Began.IsZero() || n < 1 {
		return nil
	}
	rows := []row{{left: t.headline(s), right: durationText(max(0, now.Sub(s.Began))), paint: bold}}
	return append(rows, arrange(t.blocks(s, now, width/barShare), n-1)...)
}

func (t *tty) headline(s *State) string {
	return fmt.Sprintf("building: %d running, %d done, %d cached", s.count(Running), s.count(Done), s.count(Cached))
}

// blocks returns what is going on: for each step its title and details, for other transfers a row.
func (t *tty) blocks(s *State, now time.Time, barWidth int) [][]row {
	var blocks [][]row
	for _, step := range s.Steps {
		moving := bars(step.Transfers, now, barWidth)
		if step.Status != Running && (step.Status != Named || len(moving) == 0) {
			continue
		}
		block := []row{{left: t.name(step), right: t.elapsed(step, now)}}
		for _, r := range moving {
			r.left = "   " + r.left
			block = append(block, r)
		}
		for _, line := range step.Output(maxDetails) {
			if len(line) > maxShown {
				line = line[:maxShown]
			}
			block = append(block, row{left: "   " + t.output(line), paint: faint})
		}
		blocks = append(blocks, block)
	}
	for _, r := range bars(s.Transfers, now, barWidth) {
		blocks = append(blocks, []row{r})
	}
	return blocks
}

// bars returns a row for each transfer that goes on, the last of them for all that are too many.
func bars(all transfers, now time.Time, width int) []row {
	active := all.active()
	more := len(active) - maxDetails
	if more > 0 {
		active = active[:maxDetails-1]
	}
	var rows []row
	for _, tr := range active {
		rows = append(rows, row{left: safe(tr.Name), right: bar(tr, width) + tr.progress(now)})
	}
	if more > 0 {
		rows = append(rows, row{left: fmt.Sprintf("and %d more transfers", more+1)})
	}
	return rows
}

// bar draws how far a transfer has come; empty if nobody knows how far there is to go.
func bar(t *Transfer, width int) string {
	if t.Total <= 0 || width < 5 {
		return ""
	}
	n := min(width, max(0, int(t.percent())*width/100))
	return "[" + strings.Repeat("=", n) + strings.Repeat(" ", width-n) + "] "
}

// arrange fits blocks into n rows: first their titles, then the latest of their details, shared fairly.
func arrange(blocks [][]row, n int) []row {
	var rows []row
	if more := len(blocks) - n; more > 0 {
		for _, b := range blocks[:max(0, n-1)] {
			rows = append(rows, b[0])
		}
		if n > 0 {
			rows = append(rows, row{left: fmt.Sprintf("and %d more", more+1)})
		}
		return rows
	}
	spare := n - len(blocks)
	for i, b := range blocks {
		title, details := b[0], b[1:]
		k := min(len(details), spare/(len(blocks)-i))
		spare -= k
		rows = append(append(rows, title), details[len(details)-k:]...)
	}
	return rows
}

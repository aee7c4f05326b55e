package display

import (
	"fmt"
	"strings"
	"time"
)

// look is how text is dressed up, whatever the drawing.
type look struct {
	// colour allows colours, terminal says that the text goes to one.
	colour, terminal bool
	// platform is the one that is not worth mentioning.
	platform string
	// excerpt is how many lines of a failed step's output its report repeats.
	excerpt int
}

// paint is a colour or weight: the parameter of SGR (ECMA-48, 8.3.117).
type paint string

const (
	unpainted paint = ""
	bold      paint = "1"
	faint     paint = "2"
	red       paint = "31"
	green     paint = "32"
	yellow    paint = "33"
	cyan      paint = "36"
)

func (l look) paint(p paint, text string) string {
	if !l.colour || p == unpainted || text == "" {
		return text
	}
	return "\x1b[" + string(p) + "m" + text + "\x1b[0m"
}

// output makes a line of a command's output fit to be written: as it is to a file, harmless to a terminal.
func (l look) output(line string) string {
	if !l.terminal {
		return line
	}
	return safe(dropStyles(line))
}

// title says what a step is: its platform, its stage and place in it, its instruction.
func (l look) title(s *Step) string {
	var where []string
	if s.Platform != "" && s.Platform != l.platform {
		where = append(where, s.Platform)
	}
	if s.Stage != "" {
		where = append(where, s.Stage)
	}
	if s.Index > 0 {
		where = append(where, fmt.Sprintf("%d/%d", s.Index, s.Total))
	}
	if len(where) == 0 {
		return sentence(s.Text)
	}
	return sentence(fmt.Sprintf("[%s] %s", strings.Join(where, " "), s.Text))
}

// progress says how far a running transfer has come.
func (t *Transfer) progress(now time.Time) string {
	text := bytesText(t.Current)
	if t.Total > 0 {
		text = fmt.Sprintf("%d%% of %s", t.percent(), bytesText(t.Total))
	}
	if r := t.Rate(now); r > 0 {
		text += fmt.Sprintf(", %s/s", bytesText(r))
	}
	return text
}

// result says what an ended transfer was.
func (t *Transfer) result() string {
	text := bytesText(t.Current)
	if r := t.Mean(); r > 0 {
		text += fmt.Sprintf(" in %s, %s/s", durationText(t.Updated.Sub(t.Began)), bytesText(r))
	}
	return text
}

func (t *Transfer) percent() int64 {
	return int64(100 * float64(t.Current) / float64(t.Total))
}

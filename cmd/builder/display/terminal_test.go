package display

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// terminal understands what a tty drawing may write, and nothing else.
type terminal struct {
	t             *testing.T
	width, height int
	// lines are all that was ever shown; those before the last height have scrolled away.
	lines       [][]rune
	row, column int
	// wrapped: a line was longer than the terminal is wide.
	wrapped bool
}

func newTerminal(t *testing.T, width, height int) *terminal {
	return &terminal{t: t, width: width, height: height, lines: [][]rune{nil}}
}

func (v *terminal) size() (width, height int) { return v.width, v.height }

func (v *terminal) write(text string) {
	v.t.Helper()
	for text != "" {
		if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
			text = v.control(rest)
			continue
		}
		for i, r := range text {
			if i > 0 {
				text = text[i:]
				break
			}
			v.put(r)
			if i+len(string(r)) == len(text) {
				text = ""
			}
		}
	}
}

// control obeys a sequence and returns what follows it.
func (v *terminal) control(text string) string {
	v.t.Helper()
	end := strings.IndexFunc(text, unicode.IsLetter)
	if end < 0 {
		v.t.Fatalf("unfinished sequence %q", text)
	}
	switch parameter := text[:end]; text[end] {
	case 'A':
		n, err := strconv.Atoi(parameter)
		if err != nil {
			v.t.Fatal(err)
		}
		if v.row -= n; v.row < max(0, len(v.lines)-v.height) {
			v.t.Errorf("the cursor left the screen by %d lines", len(v.lines)-v.height-v.row)
			v.row = max(0, len(v.lines)-v.height)
		}
	case 'K':
		v.lines[v.row] = v.lines[v.row][:min(v.column, len(v.lines[v.row]))]
	case 'J':
		v.lines[v.row] = v.lines[v.row][:min(v.column, len(v.lines[v.row]))]
		v.lines = v.lines[:v.row+1]
	case 'm':
	default:
		v.t.Errorf("sequence %q", text[:end+1])
	}
	return text[end+1:]
}

func (v *terminal) put(r rune) {
	v.t.Helper()
	switch {
	case r == '\r':
		v.column = 0
	case r == '\n':
		v.row++
		v.column = 0
		if v.row == len(v.lines) {
			v.lines = append(v.lines, nil)
		}
	case r == '\t':
		for range 8 - v.column%8 {
			v.put(' ')
		}
	case unicode.IsControl(r):
		v.t.Errorf("control character %q", r)
	default:
		if v.column == v.width {
			v.wrapped = true
			v.put('\n')
		}
		for len(v.lines[v.row]) <= v.column {
			v.lines[v.row] = append(v.lines[v.row], ' ')
		}
		v.lines[v.row][v.column] = r
		v.column++
	}
}

// resize makes the terminal narrower or wider, and wraps lines as most terminals do.
func (v *terminal) resize(width int) {
	var lines [][]rune
	for i, l := range v.lines {
		if i == v.row {
			v.row = len(lines)
		}
		for len(l) > width {
			lines, l = append(lines, l[:width:width]), l[width:]
		}
		lines = append(lines, l)
	}
	v.lines, v.width = lines, width
}

// String returns all lines, without spaces at their ends.
func (v *terminal) String() string {
	var b strings.Builder
	for _, l := range v.lines {
		b.WriteString(strings.TrimRight(string(l), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

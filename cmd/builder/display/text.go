package display

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// safe returns text in which every character stands for itself: control characters except tab, and what
// changes the direction of writing or is no character at all, are escaped.
func safe(text string) string {
	if isSafe(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\t' || unicode.IsGraphic(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func isSafe(text string) bool {
	for _, r := range text {
		if r == utf8.RuneError || r != '\t' && !unicode.IsGraphic(r) {
			return false
		}
	}
	return true
}

// dropStyles returns line without complete CSI sequences (ECMA-48, 5.4), with which commands colour
// what they say; they hold no text. Nothing else is dropped.
func dropStyles(line string) string {
	if !strings.Contains(line, "\x1b[") {
		return line
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(line, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := strings.IndexFunc(after, func(r rune) bool { return r < 0x20 || r > 0x3f })
		if end < 0 || after[end] < 0x40 || after[end] > 0x7e {
			b.WriteString("\x1b[")
			line = after
			continue
		}
		line = after[end+1:]
	}
}

// cells is how many columns of a terminal r takes. Where terminals disagree it is the larger number.
func cells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r < 0x1100:
		return 1
	case r <= 0x115f, // Hangul
		r >= 0x2600 && r <= 0x27bf, r >= 0x2b1b && r <= 0x2b55, // symbols with a picture
		r >= 0x2e80 && r <= 0xa4cf, r >= 0xa960 && r <= 0xa97f, r >= 0xac00 && r <= 0xd7a3, // CJK, Hangul
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f000 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd: // pictures, CJK
		return 2
	}
	return 1
}

// cellsOf is how many columns of a terminal text takes, which has no tabs.
func cellsOf(text string) int {
	n := 0
	for _, r := range text {
		n += cells(r)
	}
	return n
}

// fit returns text cut to at most n columns, with tabs expanded.
func fit(text string, n int) string {
	if n <= 0 {
		return ""
	}
	var b strings.Builder
	column, short := 0, 0 // short is the length of what leaves room for the mark of a cut
	for _, r := range text {
		w, s := cells(r), string(r)
		if r == '\t' {
			w = 8 - column%8
			s = strings.Repeat(" ", w)
		}
		if column+w > n {
			return b.String()[:short] + "…"
		}
		b.WriteString(s)
		if column += w; column < n {
			short = b.Len()
		}
	}
	return b.String()
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		if value /= 1000; value < 999.95 {
			return fmt.Sprintf("%.1f %s", value, unit)
		}
	}
	return fmt.Sprintf("%.1f TB", value/1000)
}

// durationText is a duration for people.
func durationText(d time.Duration) string {
	switch d = d.Round(100 * time.Millisecond); {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

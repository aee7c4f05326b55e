package display

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []string
		want  []string
		rest  string
	}{
		{"whole lines", []string{"a\nb\n"}, []string{"a", "b"}, ""},
		{"in parts", []string{"a", "b\n\nc", ""}, []string{"ab", ""}, "c"},
		{"DOS ends", []string{"a\r", "\nb\r\n"}, []string{"a", "b"}, ""},
		{"written over", []string{" 10%\r 20%\r", " 30%\ndone\r"}, []string{" 30%"}, "done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s splitter
			var got []string
			for _, p := range c.parts {
				got = append(got, s.add([]byte(p))...)
			}
			if !slices.Equal(got, c.want) || s.unfinished() != c.rest {
				t.Errorf("got %q and %q, want %q and %q", got, s.unfinished(), c.want, c.rest)
			}
		})
	}
}

// A line without an end comes in pieces of valid characters, and nothing of it is lost.
func TestSplitterCutsLongLines(t *testing.T) {
	var s splitter
	text := strings.Repeat("火", maxLine)
	var pieces []string
	for p := range slices.Chunk([]byte(text), 1000) {
		pieces = append(pieces, s.add(p)...)
	}
	pieces = append(pieces, s.flush()...)
	for _, p := range pieces {
		if len(p) > maxLine || !utf8.ValidString(p) {
			t.Errorf("a piece of %d bytes, valid: %t", len(p), utf8.ValidString(p))
		}
	}
	if len(pieces) != 4 || strings.Join(pieces, "") != text {
		t.Errorf("got %d pieces of %d bytes, want 4 of %d", len(pieces), len(strings.Join(pieces, "")), len(text))
	}
}

// A counter that goes back to the start of its line again and again is no long line.
func TestSplitterForgetsWhatIsWrittenOver(t *testing.T) {
	var s splitter
	for range maxLine {
		if lines := s.add([]byte("working\r")); len(lines) > 0 {
			t.Fatalf("got %q", lines)
		}
	}
	if got := s.add([]byte("ready\n")); !slices.Equal(got, []string{"ready"}) {
		t.Errorf("got %q, want ready", got)
	}
}

func TestTail(t *testing.T) {
	var few, long tail
	for range 3 * maxTailLines {
		few.add("x")
		long.add(strings.Repeat("y", maxTailBytes/3))
	}
	long.add(strings.Repeat("z", 2*maxTailBytes))
	long.add("")
	if got := len(few.last(1000)); got != maxTailLines {
		t.Errorf("%d short lines are kept, want %d", got, maxTailLines)
	}
	if got := long.last(5); len(got) != 2 || len(got[0]) != maxTailBytes {
		t.Errorf("%d lines are kept, want the end of the long one and the empty one", len(got))
	}
}

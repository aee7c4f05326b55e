package display

import (
	"bytes"
	"unicode/utf8"
)

const (
	// maxLine is where a line that does not end is cut, in bytes.
	maxLine = 64 << 10
	// A tail holds no more than this many lines and bytes.
	maxTailLines = 50
	maxTailBytes = 8 << 10
)

// splitter cuts a stream into lines. It never holds more than a line of maxLine bytes.
type splitter struct {
	rest []byte
}

// add takes more of the stream in and returns the lines that it completes, without their ends.
// Lines longer than maxLine come in pieces.
func (s *splitter) add(p []byte) []string {
	var lines []string
	for len(p) > 0 {
		segment, after, ended := bytes.Cut(p, []byte("\n"))
		if n := maxLine - len(s.rest); len(segment) > n {
			s.rest = append(s.rest, segment[:n]...)
			p = p[n:]
			lines = s.cut(lines)
			continue
		}
		s.rest = append(s.rest, segment...)
		p = after
		if ended {
			lines = append(lines, string(visible(s.rest)))
			s.rest = s.rest[:0]
		}
	}
	return lines
}

// cut makes room in a line that has become too long: by forgetting what was written over, else by
// giving away a piece.
func (s *splitter) cut(lines []string) []string {
	if shown := visible(s.rest); len(shown) < len(s.rest)/2 {
		s.rest = append(s.rest[:0], shown...)
		return lines
	}
	n := runeEnd(s.rest)
	lines = append(lines, string(visible(s.rest[:n])))
	s.rest = append(s.rest[:0], s.rest[n:]...)
	return lines
}

// flush returns the line that has not ended, if there is one.
func (s *splitter) flush() []string {
	line := s.unfinished()
	s.rest = nil
	if line == "" {
		return nil
	}
	return []string{line}
}

// unfinished is the line that has not ended as it stands.
func (s *splitter) unfinished() string { return string(visible(s.rest)) }

// visible is what a terminal would show of a line that goes back to its start: what was written last.
func visible(line []byte) []byte {
	line = bytes.TrimRight(line, "\r")
	return line[bytes.LastIndexByte(line, '\r')+1:]
}

// runeEnd is the length of b without the bytes of an unfinished character at its end.
func runeEnd(b []byte) int {
	for n := 1; n < utf8.UTFMax && n < len(b); n++ {
		last := b[len(b)-n:]
		if utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return len(b)
			}
			return len(b) - n
		}
	}
	return len(b)
}

// tail holds the last lines of a stream.
type tail struct {
	lines []string
	size  int
}

func (t *tail) add(line string) {
	if len(line) > maxTailBytes {
		line = line[len(line)-maxTailBytes:]
	}
	t.lines = append(t.lines, line)
	t.size += len(line)
	for len(t.lines) > maxTailLines || t.size > maxTailBytes {
		t.size -= len(t.lines[0])
		t.lines[0] = ""
		t.lines = t.lines[1:]
	}
}

// last returns at most n lines, oldest first.
func (t *tail) last(n int) []string {
	return t.lines[max(0, len(t.lines)-n):]
}

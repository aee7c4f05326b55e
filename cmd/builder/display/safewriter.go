package display

import (
	"io"
	"strings"
)

// Safe returns a writer that passes lines on to w with everything escaped that would tell a terminal to do something:
// what is shown of images and of Dockerfiles is by those who made them.
func Safe(w io.Writer) io.Writer { return safeWriter{w} }

type safeWriter struct {
	w io.Writer
}

// Write needs whole characters.
func (s safeWriter) Write(p []byte) (int, error) {
	lines := strings.Split(string(p), "\n")
	for i, line := range lines {
		lines[i] = safe(line)
	}
	if _, err := io.WriteString(s.w, strings.Join(lines, "\n")); err != nil {
		return 0, err
	}
	return len(p), nil
}

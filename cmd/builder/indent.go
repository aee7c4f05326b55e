//go:build linux

package main

import (
	"context"
	"io"
)

// printIndented prints a JSON text that is valid, as json.Indent does it, for people to read. It streams it: a text that
// is nested deeply is thousands of times as long when it is indented.
func printIndented(ctx context.Context, w io.Writer, text []byte) error {
	const ahead = 64 << 10
	var j indenter
	for _, c := range text {
		j.take(c)
		if len(j.out) < ahead {
			continue
		}
		if _, err := w.Write(j.out); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		j.out = j.out[:0]
	}
	_, err := w.Write(append(j.out, '\n'))
	return err
}

// indenter indents a JSON text, byte by byte.
type indenter struct {
	out []byte
	// depth is how many objects and arrays are open, fresh whether nothing is in the last yet.
	depth int
	fresh bool
	// quoted is whether the next byte is in a string, escaped whether a backslash is before it.
	quoted, escaped bool
}

// take adds the next byte of the text.
func (j *indenter) take(c byte) {
	switch {
	case j.quoted:
		j.out = append(j.out, c)
		j.quoted = c != '"' || j.escaped
		j.escaped = c == '\\' && !j.escaped
	case c == ' ' || c == '\t' || c == '\r' || c == '\n':
	case c == '}' || c == ']':
		j.close(c)
	default:
		j.add(c)
	}
}

// close ends an object or array.
func (j *indenter) close(c byte) {
	j.depth--
	if !j.fresh {
		j.line()
	}
	j.fresh = false
	j.out = append(j.out, c)
}

// add adds what is neither space, nor in a string, nor an end.
func (j *indenter) add(c byte) {
	if j.fresh {
		j.line()
	}
	j.fresh = c == '{' || c == '['
	j.quoted = c == '"'
	j.out = append(j.out, c)
	switch c {
	case '{', '[':
		j.depth++
	case ',':
		j.line()
	case ':':
		j.out = append(j.out, ' ')
	}
}

// line begins a line.
func (j *indenter) line() {
	j.out = append(j.out, '\n')
	for range j.depth {
		j.out = append(j.out, "  "...)
	}
}

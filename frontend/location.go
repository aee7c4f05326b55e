package frontend

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/seed-298d225e/builder/solver"
)

// Error is a mistake in a Dockerfile, or something that kept an instruction of it from being understood.
type Error struct {
	// Location says where it stands; Start is 0 if it is about the whole file.
	Location solver.Location
	// Source is the text of the Dockerfile.
	Source []byte
	Err    error
}

// Error returns one line: file, line and cause.
func (e *Error) Error() string {
	if e.Location.Start == 0 {
		return fmt.Sprintf("%s: %s", e.Location.File, printable(e.Err.Error()))
	}
	return fmt.Sprintf("%s:%d: %s", e.Location.File, e.Location.Start, printable(e.Err.Error()))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Excerpt returns the lines in question and those around them; see the function [Excerpt].
func (e *Error) Excerpt() string { return Excerpt(e.Source, e.Location) }

const (
	// excerptWidth is where long lines are cut, in characters.
	excerptWidth = 200
	// excerptLines is how many lines of a range are shown.
	excerptLines = 30
)

// Excerpt returns the lines of source that l says, marked and with a few lines around them, as docker build
// prints them. It is empty if l is nowhere.
func Excerpt(source []byte, l solver.Location) string {
	lines := bytes.Split(source, []byte("\n"))
	if l.Start < 1 || l.Start > len(lines) {
		return ""
	}
	around := 1
	if l.End <= l.Start {
		around = 2
	}
	first := max(1, l.Start-around)
	last := min(len(lines), max(l.Start, l.End)+around, first+excerptLines)

	const rule = "--------------------\n"
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d\n%s", l.File, l.Start, rule)
	for n := first; n <= last; n++ {
		mark := "   "
		if n >= l.Start && n <= max(l.Start, l.End) {
			mark = ">>>"
		}
		fmt.Fprintf(&b, " %3d | %s %s\n", n, mark, shorten(string(lines[n-1])))
	}
	return b.String() + rule
}

// shorten makes a source line fit to be shown.
func shorten(line string) string {
	line = strings.TrimSuffix(line, "\r")
	if r := []rune(line[:min(len(line), 4*excerptWidth)]); len(r) > excerptWidth {
		return printable(string(r[:excerptWidth])) + "…"
	}
	return printable(line)
}

// printable returns s with control characters spelled out, so that it is one line and no terminal acts on
// what a Dockerfile says.
func printable(s string) string {
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\t' }
	if strings.IndexFunc(s, control) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if control(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// location returns the lines that ranges cover, which the parser gives in order, one for each line.
func (f *dockerfile) location(ranges []parser.Range) solver.Location {
	l := solver.Location{File: f.name}
	if len(ranges) > 0 {
		last := ranges[len(ranges)-1]
		l.Start, l.End = ranges[0].Start.Line, max(last.Start.Line, last.End.Line)
	}
	return l
}

// fail gives err a place, unless it has one.
func (f *dockerfile) fail(ranges []parser.Range, err error) error {
	if _, placed := errors.AsType[*Error](err); err == nil || placed {
		return err
	}
	return &Error{Location: f.location(ranges), Source: f.text, Err: err}
}

// failLine is fail for a single line.
func (f *dockerfile) failLine(line int, err error) error {
	return f.fail([]parser.Range{{Start: parser.Position{Line: line}, End: parser.Position{Line: line}}}, err)
}

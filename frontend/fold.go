package frontend

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// parserLine is the longest line that the parser reads (bufio.MaxScanTokenSize with the line's end).
const parserLine = 64<<10 - 2

// folded is a Dockerfile whose lines are short enough for the parser: long ones have been continued on
// further lines, as one could have written them, and long comments cut.
type folded struct {
	text []byte
	// extra are the numbers, in text, of the lines that continue a long one, in order.
	extra []int
	// cut are the numbers of the comments that were cut.
	cut []int
}

// fold makes text fit for the parser.
func fold(text []byte) (folded, error) {
	escape := byte('\\')
	if _, value, _, ok := parser.ParseDirective("escape", text); ok && value == "`" {
		escape = '`'
	}
	f := folded{text: text}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if err := checkLines(lines, escape); err != nil {
		return folded{}, err
	}
	if !slices.ContainsFunc(lines, func(line []byte) bool { return len(line) > parserLine }) {
		return f, nil
	}
	var out bytes.Buffer
	n := 0
	for i, line := range lines {
		n++
		if len(line) > parserLine && isComment(line) {
			line = append(line[:parserLine-1:parserLine-1], '\n')
			f.cut = append(f.cut, n)
		}
		for len(line) > parserLine {
			at := foldAt(line[:parserLine], escape)
			if at == 0 {
				return folded{}, atLine(i+1, fmt.Errorf("failed to parse a line of more than %d bytes that has no place to fold it", parserLine))
			}
			out.Write(line[:at])
			out.Write([]byte{escape, '\n'})
			line = line[at:]
			n++
			f.extra = append(f.extra, n)
		}
		out.Write(line)
	}
	f.text = out.Bytes()
	return f, nil
}

// foldAt returns the last place where line can be continued on the next: between two characters neither of
// which means anything at the end or the beginning of a line. It returns 0 if there is none.
func foldAt(line []byte, escape byte) int {
	for at := len(line) - 2; at > 0; at-- {
		next, _ := utf8.DecodeRune(line[at:])
		if line[at-1] > ' ' && line[at-1] != escape && next != '#' && next != rune(escape) && !unicode.IsSpace(next) {
			return at
		}
	}
	return 0
}

func isComment(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("#"))
}

// checkLines refuses what the parser would spend too much on: very long lines, and words in lines with
// here-documents, in which the parser looks for variables.
func checkLines(lines [][]byte, escape byte) error {
	var instruction []byte
	for i, line := range lines {
		if len(line) > maxLine {
			return atLine(i+1, fmt.Errorf("failed to parse a line of %d bytes: it may have %d", len(line), maxLine))
		}
		line = bytes.TrimRight(line, " \t\r\n")
		instruction = append(instruction, line...)
		if bytes.HasSuffix(line, []byte{escape}) {
			instruction = instruction[:len(instruction)-1]
			continue
		}
		if bytes.Contains(instruction, []byte("<<")) {
			if nested, _ := depth(string(instruction), '\\'); nested > maxNesting {
				return atLine(i+1, fmt.Errorf("failed to parse variables nested more than %d deep", maxNesting))
			}
		}
		instruction = instruction[:0]
	}
	return nil
}

// atLine gives err a place for locations to find.
func atLine(line int, err error) error {
	return parser.WithLocation(err, []parser.Range{{Start: parser.Position{Line: line}, End: parser.Position{Line: line}}})
}

// original returns the number in the text as it was of a line of the folded one.
func (f folded) original(line int) int {
	return line - sort.SearchInts(f.extra, line+1)
}

// parse runs the parser. All places in the result are those of the text as it was.
func (f folded) parse() (*parser.Result, error) {
	parsed, err := parser.Parse(bytes.NewReader(f.text))
	if err != nil {
		return nil, f.unfoldError(err)
	}
	for _, node := range parsed.AST.Children {
		if err := f.checkHeredocs(node); err != nil {
			return nil, err
		}
		node.StartLine, node.EndLine = f.original(node.StartLine), f.original(node.EndLine)
	}
	for _, w := range parsed.Warnings {
		w.Location.Start.Line = f.original(w.Location.Start.Line)
		w.Location.End.Line = f.original(w.Location.End.Line)
	}
	return parsed, nil
}

func (f folded) unfoldError(err error) error {
	if e, ok := errors.AsType[*parser.LocationError](err); ok {
		for _, ranges := range e.Locations {
			for i := range ranges {
				ranges[i].Start.Line = f.original(ranges[i].Start.Line)
				ranges[i].End.Line = f.original(ranges[i].End.Line)
			}
		}
	}
	return err
}

// checkHeredocs fails if a line of a here-document was too long: what was done to it is not what it says.
func (f folded) checkHeredocs(node *parser.Node) error {
	lines := 0
	for _, h := range node.Heredocs {
		lines += bytes.Count([]byte(h.Content), []byte("\n")) + 1
	}
	for _, changed := range [][]int{f.extra, f.cut} {
		i := sort.SearchInts(changed, node.EndLine-lines+1)
		if i < len(changed) && changed[i] <= node.EndLine {
			return atLine(f.original(changed[i]), fmt.Errorf("failed to parse a here-document with a line of more than %d bytes", parserLine))
		}
	}
	return nil
}

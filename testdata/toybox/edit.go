package main

import (
	"regexp"
	"strconv"
	"strings"
)

// edit is a command of sed.
type edit struct {
	// first and last are numbers of lines; 0 is any, -1 the last one. at, if not nil, must match.
	first, last int
	at          *regexp.Regexp
	verb        byte
	re          *regexp.Regexp
	text        string
	all, print  bool
}

// edits reads a program.
func edits(program string, extended bool) ([]edit, error) {
	var all []edit
	for rest := program; ; {
		rest = strings.TrimLeft(rest, "; \t\n")
		if rest == "" {
			return all, nil
		}
		var e edit
		var err error
		if rest, err = e.address(rest, extended); err != nil {
			return nil, err
		}
		if rest == "" {
			return nil, usagef("no command in %q", program)
		}
		e.verb, rest = rest[0], rest[1:]
		switch e.verb {
		case 'p', 'd', 'q':
		case 's':
			if rest, err = e.substitution(rest, extended); err != nil {
				return nil, err
			}
		default:
			return nil, usagef("unknown command %c in %q", e.verb, program)
		}
		all = append(all, e)
	}
}

// address reads what stands before a command and returns the rest.
func (e *edit) address(text string, extended bool) (string, error) {
	if strings.HasPrefix(text, "/") {
		pattern, rest, ok := delimited(text[1:], '/')
		if !ok {
			return "", usagef("unfinished address %q", text)
		}
		var err error
		e.at, err = regexp.Compile(goExpression(pattern, extended))
		return rest, err
	}
	e.first, text = lineNumber(text)
	e.last = e.first
	if rest, ok := strings.CutPrefix(text, ","); ok {
		e.last, text = lineNumber(rest)
	}
	return strings.TrimLeft(text, " "), nil
}

func lineNumber(text string) (n int, rest string) {
	if rest, ok := strings.CutPrefix(text, "$"); ok {
		return -1, rest
	}
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, _ = strconv.Atoi(text[:end]) // no digits is 0
	return n, text[end:]
}

// substitution reads what follows an s and returns the rest.
func (e *edit) substitution(text string, extended bool) (string, error) {
	if text == "" {
		return "", usagef("unfinished substitution")
	}
	pattern, rest, ok := delimited(text[1:], text[0])
	if !ok {
		return "", usagef("unfinished substitution %q", text)
	}
	if e.text, rest, ok = delimited(rest, text[0]); !ok {
		return "", usagef("unfinished substitution %q", text)
	}
	pattern = goExpression(pattern, extended)
	for rest != "" && strings.ContainsRune("gip", rune(rest[0])) {
		switch rest[0] {
		case 'g':
			e.all = true
		case 'p':
			e.print = true
		case 'i':
			pattern = "(?i)" + pattern
		}
		rest = rest[1:]
	}
	e.text = goTemplate(e.text)
	var err error
	e.re, err = regexp.Compile(pattern)
	return rest, err
}

// delimited returns what stands before an unescaped end, and what stands behind it.
func delimited(text string, end byte) (inside, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == end:
			return b.String(), text[i+1:], true
		case text[i] == '\\' && i+1 < len(text):
			i++
			if text[i] != end {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

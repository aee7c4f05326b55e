package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// sed knows the commands s/RE/TEXT/[gip], p, d and q, each with an address or none: N, N,M, $ or /RE/. Commands
// are separated by semicolons or lines. Regular expressions are Go's; \(, \) and \1 are understood. -n prints
// only what p says, -i changes the files.
func sed(c *call) error {
	o, err := parse(c.args, "niEr", "e")
	if err != nil {
		return err
	}
	program, given := o.values['e']
	if !given {
		if len(o.args) == 0 {
			return usagef("want a program")
		}
		program, o.args = o.args[0], o.args[1:]
	}
	commands, err := edits(program, o.has("Er"))
	if err != nil {
		return err
	}
	s := editor{commands: commands, silent: o.has("n")}
	if !o.has("i") {
		return c.inputs(o.args, func(_ string, r io.Reader) error { return s.edit(r, c.out) })
	}
	return c.each(o.args, s.editFile)
}

// editor runs a program on files.
type editor struct {
	commands []edit
	silent   bool
}

func (s editor) editFile(name string) error {
	fi, err := os.Stat(name)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := s.edit(strings.NewReader(string(data)), &b); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(b.String()), fi.Mode().Perm())
}

func (s editor) edit(r io.Reader, w io.Writer) error {
	var all []string
	if err := lines(r, func(line string) bool { all = append(all, line); return true }); err != nil {
		return err
	}
	for i, line := range all {
		if quit := s.line(w, line, i+1, len(all)); quit {
			return nil
		}
	}
	return nil
}

// line runs the program on a line, the number-th of last, and reports whether it was the end.
func (s editor) line(w io.Writer, line string, number, last int) (quit bool) {
	for _, e := range s.commands {
		if !e.applies(number, last, line) {
			continue
		}
		switch e.verb {
		case 'p':
			fmt.Fprintln(w, line)
		case 'd':
			return quit
		case 'q':
			quit = true
		case 's':
			changed := e.substitute(line)
			if e.print && changed != line {
				fmt.Fprintln(w, changed)
			}
			line = changed
		}
	}
	if !s.silent {
		fmt.Fprintln(w, line)
	}
	return quit
}

func (e edit) applies(number, last int, line string) bool {
	if e.at != nil {
		return e.at.MatchString(line)
	}
	at := func(n int) int {
		if n == -1 {
			return last
		}
		return n
	}
	return e.first == 0 || at(e.first) <= number && number <= at(e.last)
}

func (e edit) substitute(line string) string {
	if e.all {
		return e.re.ReplaceAllString(line, e.text)
	}
	m := e.re.FindStringSubmatchIndex(line)
	if m == nil {
		return line
	}
	return line[:m[0]] + string(e.re.ExpandString(nil, e.text, line, m)) + line[m[1]:]
}

package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
)

// grep prints lines that a regular expression (Go's, or with -F a string) is found in. -i -v -n -q -c -l -o
// -h -H -r -x -w and -e PATTERN are as everywhere; -E is the only kind there is. Nothing found is status 1.
func grep(c *call) error {
	o, err := parse(c.args, "ivnqclohHrRxwFEs", "e")
	if err != nil {
		return err
	}
	pattern, given := o.values['e']
	if !given {
		if len(o.args) == 0 {
			return usagef("want a pattern")
		}
		pattern, o.args = o.args[0], o.args[1:]
	}
	g := grepper{call: c, options: o, named: len(o.args) > 1 || o.has("HrR")}
	if g.re, err = expression(o, pattern); err != nil {
		return err
	}
	if o.has("rR") {
		if o.args, err = files(o.args); err != nil {
			return err
		}
	}
	if err := c.inputs(o.args, g.search); err != nil {
		return statusError(2)
	}
	if !g.found {
		return statusError(1)
	}
	return nil
}

func expression(o options, pattern string) (*regexp.Regexp, error) {
	if o.has("F") {
		pattern = regexp.QuoteMeta(pattern)
	}
	if o.has("w") {
		pattern = `\b(?:` + pattern + `)\b`
	}
	if o.has("x") {
		pattern = `^(?:` + pattern + `)$`
	}
	if o.has("i") {
		pattern = `(?i)` + pattern
	}
	return regexp.Compile(pattern)
}

// files returns the regular files below paths.
func files(paths []string) ([]string, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var regular []string
	for _, p := range paths {
		all, err := under(p)
		if err != nil {
			return nil, err
		}
		for _, f := range all {
			if fi, err := os.Lstat(f); err == nil && fi.Mode().IsRegular() {
				regular = append(regular, f)
			}
		}
	}
	return regular, nil
}

// grepper looks for re in files.
type grepper struct {
	*call
	options
	re *regexp.Regexp
	// named: lines stand behind the names of their files.
	named, found bool
}

func (g *grepper) search(name string, r io.Reader) error {
	number, count := 0, 0
	prefix := ""
	if g.named && !g.has("h") {
		prefix = name + ":"
	}
	err := lines(r, func(line string) bool {
		number++
		if g.re.MatchString(line) == g.has("v") {
			return true
		}
		count++
		g.found = true
		if g.has("ql") {
			return false
		}
		if !g.has("c") {
			g.print(prefix, number, line)
		}
		return true
	})
	switch {
	case g.has("q"):
	case g.has("l") && count > 0:
		fmt.Fprintln(g.out, name)
	case g.has("c"):
		fmt.Fprintf(g.out, "%s%d\n", prefix, count)
	}
	return err
}

func (g *grepper) print(prefix string, number int, line string) {
	if g.has("n") {
		prefix += strconv.Itoa(number) + ":"
	}
	if !g.has("o") {
		fmt.Fprintln(g.out, prefix+line)
		return
	}
	for _, found := range g.re.FindAllString(line, -1) {
		if found != "" {
			fmt.Fprintln(g.out, prefix+found)
		}
	}
}

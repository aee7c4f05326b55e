package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// sortLines is sort: by bytes, or by the number at the start with -n.
func sortLines(c *call) error {
	o, err := parse(c.args, "nru", "")
	if err != nil {
		return err
	}
	var all []string
	err = c.inputs(o.args, func(_ string, r io.Reader) error {
		return lines(r, func(line string) bool { all = append(all, line); return true })
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b string) int {
		order := strings.Compare(a, b)
		if o.has("n") {
			order = leadingNumber(a) - leadingNumber(b)
		}
		if o.has("r") {
			return -order
		}
		return order
	})
	if o.has("u") {
		all = slices.Compact(all)
	}
	for _, line := range all {
		fmt.Fprintln(c.out, line)
	}
	return nil
}

func leadingNumber(line string) int {
	line = strings.TrimLeft(line, " \t")
	end := strings.IndexFunc(line, func(r rune) bool { return (r < '0' || r > '9') && r != '-' })
	if end < 0 {
		end = len(line)
	}
	n, _ := strconv.Atoi(line[:end]) // what is no number sorts as 0
	return n
}

// cut prints fields (-f, separated by -d) or characters (-c). A list is like 1,3-5,7-.
func cut(c *call) error {
	o, err := parse(c.args, "s", "dfc")
	if err != nil {
		return err
	}
	separator, list := "\t", o.values['f']
	if d, ok := o.values['d']; ok {
		separator = d
	}
	if chars, ok := o.values['c']; ok {
		separator, list = "", chars
	}
	chosen, err := ranges(list)
	if err != nil {
		return err
	}
	return c.inputs(o.args, func(_ string, r io.Reader) error {
		return lines(r, func(line string) bool {
			fields := strings.Split(line, separator)
			if len(fields) > 1 || separator == "" {
				line = strings.Join(chosen(fields), separator)
			} else if o.has("s") {
				return true
			}
			fmt.Fprintln(c.out, line)
			return true
		})
	})
}

// ranges returns what picks the fields of a list.
func ranges(list string) (func([]string) []string, error) {
	type span struct{ first, last int }
	var spans []span
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		s := span{1, 1 << 30}
		var err error
		if first != "" {
			if s.first, err = strconv.Atoi(first); err != nil {
				return nil, usagef("bad list %q", list)
			}
		}
		if !isRange {
			s.last = s.first
		} else if last != "" {
			if s.last, err = strconv.Atoi(last); err != nil {
				return nil, usagef("bad list %q", list)
			}
		}
		spans = append(spans, s)
	}
	return func(fields []string) []string {
		var chosen []string
		for i, f := range fields {
			if slices.ContainsFunc(spans, func(s span) bool { return s.first <= i+1 && i+1 <= s.last }) {
				chosen = append(chosen, f)
			}
		}
		return chosen
	}, nil
}

// tr replaces characters, or deletes them with -d. Sets are characters and ranges like a-z.
func tr(c *call) error {
	o, err := parse(c.args, "d", "")
	if err != nil {
		return err
	}
	sets, err := o.some(1, "sets")
	if err != nil {
		return err
	}
	from := set(sets[0])
	var to []rune
	if !o.has("d") {
		if len(sets) < 2 {
			return usagef("want two sets")
		}
		to = set(sets[1])
	}
	data, err := io.ReadAll(c.in)
	if err != nil {
		return err
	}
	_, err = c.out.WriteString(strings.Map(func(r rune) rune {
		switch i := slices.Index(from, r); {
		case i < 0:
			return r
		case len(to) == 0:
			return -1
		default:
			return to[min(i, len(to)-1)]
		}
	}, string(data)))
	return err
}

func set(text string) []rune {
	in := []rune(strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\000`, "\x00", `\\`, `\`).Replace(text))
	var out []rune
	for i := 0; i < len(in); i++ {
		if i+2 < len(in) && in[i+1] == '-' {
			for r := in[i]; r <= in[i+2]; r++ {
				out = append(out, r)
			}
			i += 2
			continue
		}
		out = append(out, in[i])
	}
	return out
}

func seq(c *call) error {
	first, step, last := 1, 1, 0
	into := map[int][]*int{1: {&last}, 2: {&first, &last}, 3: {&first, &step, &last}}[len(c.args)]
	if into == nil {
		return usagef("want one to three numbers")
	}
	for i, arg := range c.args {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return usagef("%q is not a number", arg)
		}
		*into[i] = n
	}
	if step == 0 {
		return usagef("the step is 0")
	}
	for n := first; step > 0 && n <= last || step < 0 && n >= last; n += step {
		fmt.Fprintln(c.out, n)
	}
	return nil
}

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// find lists what is below its paths and passes all tests: -name and -path PATTERN, -type LETTER, -maxdepth
// and -mindepth N, -perm MODE, -empty; -xdev is accepted. -print0 ends names with NUL, -delete removes.
func find(c *call) error {
	roots := []string{}
	args := c.args
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "!" {
		roots, args = append(roots, args[0]), args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	q, err := newQuery(args)
	if err != nil {
		return err
	}
	return c.each(roots, func(root string) error {
		all, err := under(root)
		if err != nil {
			return err
		}
		return c.report(q, root, all)
	})
}

// report prints or removes, children first, what fits the query.
func (c *call) report(q query, root string, all []string) error {
	var found []string
	for _, path := range all {
		ok, err := q.fits(root, path)
		if err != nil {
			return err
		}
		if ok {
			found = append(found, path)
		}
	}
	for i, path := range found {
		if q.remove {
			if err := os.Remove(found[len(found)-1-i]); err != nil {
				return err
			}
			continue
		}
		fmt.Fprint(c.out, path, q.end)
	}
	return nil
}

// query is what find was asked for.
type query struct {
	tests []test
	// from and to are the least and greatest depth.
	from, to int
	// end follows each name.
	end    string
	remove bool
}

type test func(path string, fi fs.FileInfo) bool

func newQuery(args []string) (query, error) {
	q := query{to: 1 << 30, end: "\n"}
	not := false
	for len(args) > 0 {
		name := args[0]
		args = args[1:]
		switch name {
		case "!", "-not":
			not = !not
			continue
		case "-print", "-xdev", "-a":
			continue
		case "-print0":
			q.end = "\x00"
			continue
		case "-delete":
			q.remove = true
			continue
		case "-empty":
			q.add(empty, not)
			not = false
			continue
		}
		if len(args) == 0 {
			return q, usagef("unknown test %s", name)
		}
		if err := q.test(name, args[0], not); err != nil {
			return q, err
		}
		args, not = args[1:], false
	}
	return q, nil
}

func (q *query) add(t test, not bool) {
	q.tests = append(q.tests, func(path string, fi fs.FileInfo) bool { return t(path, fi) != not })
}

// test adds a test that has an argument.
func (q *query) test(name, arg string, not bool) error {
	var err error
	switch name {
	case "-name":
		q.add(func(path string, _ fs.FileInfo) bool { return glob(arg, base(path)) }, not)
	case "-path":
		q.add(func(path string, _ fs.FileInfo) bool { return glob(arg, path) }, not)
	case "-type":
		q.add(func(_ string, fi fs.FileInfo) bool {
			letter, _ := kindOf(system(fi).Mode)
			return string(letter) == strings.Replace(arg, "f", "-", 1)
		}, not)
	case "-perm":
		var mode uint64
		mode, err = strconv.ParseUint(strings.TrimLeft(arg, "-/"), 8, 12)
		q.add(func(_ string, fi fs.FileInfo) bool { return permFits(arg[0], uint32(mode), system(fi).Mode&0o7777) }, not)
	case "-maxdepth":
		q.to, err = strconv.Atoi(arg)
	case "-mindepth":
		q.from, err = strconv.Atoi(arg)
	default:
		return usagef("unknown test %s", name)
	}
	return err
}

func permFits(how byte, want, mode uint32) bool {
	switch how {
	case '-':
		return mode&want == want
	case '/':
		return mode&want != 0
	}
	return mode == want
}

func empty(path string, fi fs.FileInfo) bool {
	if !fi.IsDir() {
		return fi.Mode().IsRegular() && fi.Size() == 0
	}
	entries, err := os.ReadDir(path)
	return err == nil && len(entries) == 0
}

func (q query) fits(root, path string) (bool, error) {
	depth := 0
	if path != root {
		depth = 1 + strings.Count(strings.Trim(strings.TrimPrefix(path, root), "/"), "/")
	}
	if depth < q.from || depth > q.to {
		return false, nil
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return false, err
	}
	for _, t := range q.tests {
		if !t(path, fi) {
			return false, nil
		}
	}
	return true, nil
}

// glob reports whether a name fits a pattern of the shell.
func glob(pattern, name string) bool {
	ok, err := filepath.Match(pattern, name)
	return ok && err == nil
}

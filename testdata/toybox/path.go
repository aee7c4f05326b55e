package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

func basename(c *call) error {
	if len(c.args) == 0 {
		return usagef("want a path")
	}
	name := base(c.args[0])
	if len(c.args) > 1 && name != c.args[1] {
		name = strings.TrimSuffix(name, c.args[1])
	}
	fmt.Fprintln(c.out, name)
	return nil
}

func dirname(c *call) error {
	return c.each(c.args, func(path string) error {
		if short := strings.TrimRight(path, "/"); short != "" {
			path = short
		}
		fmt.Fprintln(c.out, filepath.Dir(path))
		return nil
	})
}

func readlink(c *call) error {
	o, err := parse(c.args, "fn", "")
	if err != nil {
		return err
	}
	path, err := o.one("path")
	if err != nil {
		return err
	}
	read := os.Readlink
	if o.has("f") {
		read = filepath.EvalSymlinks
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
	}
	target, err := read(path)
	if err != nil {
		return statusError(1)
	}
	fmt.Fprint(c.out, target)
	if !o.has("n") {
		fmt.Fprintln(c.out)
	}
	return nil
}

// join is filepath.Join that keeps the first element as it was written.
func join(dir, name string) string {
	return strings.TrimRight(dir, "/") + "/" + name
}

func base(path string) string { return filepath.Base(path) }

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// system is what the kernel says about a file.
func system(fi fs.FileInfo) *syscall.Stat_t {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st
	}
	return &syscall.Stat_t{}
}

// under returns path and, if it is a directory that is not a link, all below it, parents first.
func under(path string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		all = append(all, p)
		return err
	})
	return all, err
}

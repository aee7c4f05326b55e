package main

import (
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// chmod takes octal modes, and symbolic ones like u+x,go-w or a=rX.
func chmod(c *call) error {
	// A mode may look like an option: -x.
	deep := len(c.args) > 0 && c.args[0] == "-R"
	args := c.args
	if deep {
		args = args[1:]
	}
	if len(args) < 2 {
		return usagef("want a mode and paths")
	}
	return c.each(args[1:], func(path string) error {
		return deeply(path, deep, func(p string) error { return changeMode(p, args[0]) })
	})
}

// deeply calls do for a path, and if deep for all below it, except for links there.
func deeply(path string, deep bool, do func(path string) error) error {
	if !deep {
		return do(path)
	}
	all, err := under(path)
	if err != nil {
		return err
	}
	for _, p := range all {
		if fi, err := os.Lstat(p); err == nil && fi.Mode().Type() == fs.ModeSymlink {
			continue
		}
		if err := do(p); err != nil {
			return err
		}
	}
	return nil
}

func changeMode(path, mode string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	m, err := newMode(mode, system(fi).Mode&0o7777, fi.IsDir())
	if err != nil {
		return err
	}
	if err := unix.Chmod(path, m); err != nil {
		return &fs.PathError{Op: "chmod", Path: path, Err: err}
	}
	return nil
}

// newMode applies a mode as users write it to the permission bits old.
func newMode(text string, old uint32, dir bool) (uint32, error) {
	if n, err := strconv.ParseUint(text, 8, 12); err == nil {
		return uint32(n), nil
	}
	for clause := range strings.SplitSeq(text, ",") {
		i := strings.IndexAny(clause, "+-=")
		if i < 0 {
			return 0, usagef("bad mode %q", text)
		}
		who, bits := whoMask(clause[:i]), permBits(clause[i+1:], old, dir)
		switch mask := who & bits; clause[i] {
		case '+':
			old |= mask
		case '-':
			old &^= mask
		case '=':
			old = old&^(who&0o6777) | mask
		}
	}
	return old, nil
}

func whoMask(who string) uint32 {
	if who == "" || strings.Contains(who, "a") {
		return 0o7777
	}
	var mask uint32
	for _, w := range who {
		mask |= map[rune]uint32{'u': 0o4700, 'g': 0o2070, 'o': 0o1007}[w]
	}
	return mask | 0o1000
}

func permBits(letters string, old uint32, dir bool) uint32 {
	var bits uint32
	for _, l := range letters {
		switch l {
		case 'r':
			bits |= 0o444
		case 'w':
			bits |= 0o222
		case 'x':
			bits |= 0o111
		case 'X':
			if dir || old&0o111 != 0 {
				bits |= 0o111
			}
		case 's':
			bits |= 0o6000
		case 't':
			bits |= 0o1000
		}
	}
	return bits
}

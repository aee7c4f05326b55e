package main

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ls lists names, one a line: with -l all about them, -a hidden ones too, -A those but not . and .., -d
// directories themselves, -R what is below, -1 and -F (marks) and -n (numbers for owners) as everywhere,
// -i the inode.
func ls(c *call) error {
	o, err := parse(c.args, "laAdR1Fni", "")
	if err != nil {
		return err
	}
	paths := o.args
	if len(paths) == 0 {
		paths = []string{"."}
	}
	titled := len(paths) > 1 || o.has("R")
	return c.each(paths, func(path string) error {
		fi, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if fi.Mode().Type() == fs.ModeSymlink && !o.has("ld") && isDir(path) {
			fi, err = os.Stat(path)
		}
		if err != nil || o.has("d") || !fi.IsDir() {
			return c.entry(o, path, path)
		}
		return c.directory(o, path, titled)
	})
}

// directory lists what is in a directory, under its name if titled.
func (c *call) directory(o options, dir string, titled bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if titled {
		fmt.Fprintf(c.out, "%s:\n", dir)
	}
	var names []string
	if o.has("a") {
		names = []string{".", ".."}
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || o.has("aA") {
			names = append(names, e.Name())
		}
	}
	for _, name := range names {
		if err := c.entry(o, join(dir, name), name); err != nil {
			return err
		}
	}
	if !o.has("R") {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() && slices.Contains(names, e.Name()) {
			fmt.Fprintln(c.out)
			if err := c.directory(o, join(dir, e.Name()), true); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry lists one file.
func (c *call) entry(o options, path, name string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	st := system(fi)
	if o.has("i") {
		fmt.Fprintf(c.out, "%d ", st.Ino)
	}
	if o.has("F") {
		name += mark(st.Mode)
	}
	if !o.has("ln") {
		fmt.Fprintln(c.out, name)
		return nil
	}
	size := fmt.Sprint(st.Size)
	if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFCHR || kind == unix.S_IFBLK {
		size = fmt.Sprintf("%d,%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	user, group := userName(int(st.Uid)), groupName(int(st.Gid))
	if o.has("n") {
		user, group = fmt.Sprint(st.Uid), fmt.Sprint(st.Gid)
	}
	if target, err := os.Readlink(path); err == nil {
		name += " -> " + target
	}
	fmt.Fprintf(c.out, "%s %d %s %s %s %s %s\n", modeText(st.Mode), st.Nlink, user, group, size,
		fi.ModTime().UTC().Format("2006-01-02 15:04"), name)
	return nil
}

// mark is what -F puts behind a name.
func mark(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "/"
	case unix.S_IFLNK:
		return "@"
	case unix.S_IFIFO:
		return "|"
	case unix.S_IFSOCK:
		return "="
	}
	if mode&0o111 != 0 {
		return "*"
	}
	return ""
}

// kindOf returns the letter and the name of a type of file.
func kindOf(mode uint32) (letter byte, name string) {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return 'd', "directory"
	case unix.S_IFLNK:
		return 'l', "symbolic link"
	case unix.S_IFIFO:
		return 'p', "fifo"
	case unix.S_IFSOCK:
		return 's', "socket"
	case unix.S_IFCHR:
		return 'c', "character special file"
	case unix.S_IFBLK:
		return 'b', "block special file"
	}
	return '-', "regular file"
}

// modeText is a mode as ls writes it.
func modeText(mode uint32) string {
	letter, _ := kindOf(mode)
	text := []byte{letter, 'r', 'w', 'x', 'r', 'w', 'x', 'r', 'w', 'x'}
	for i := range 9 {
		if mode&(0o400>>i) == 0 {
			text[i+1] = '-'
		}
	}
	for _, special := range []struct {
		bit      uint32
		at       int
		with, on byte
	}{{0o4000, 3, 's', 'S'}, {0o2000, 6, 's', 'S'}, {0o1000, 9, 't', 'T'}} {
		if mode&special.bit == 0 {
			continue
		}
		if text[special.at] == 'x' {
			text[special.at] = special.with
		} else {
			text[special.at] = special.on
		}
	}
	return string(text)
}

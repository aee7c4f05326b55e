package main

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stat prints what -c asks for: %n name, %N name and link target, %a %A mode, %f raw mode in hexadecimal, %F
// type, %u %g %U %G owner, %s size, %h links, %i inode, %d device, %t %T device numbers in hexadecimal,
// %X %Y %Z times in seconds, %y modification time. -L follows links.
func stat(c *call) error {
	o, err := parse(c.args, "L", "c")
	if err != nil {
		return err
	}
	format, ok := o.values['c']
	if !ok {
		format = "%A %U:%G %s %y %N"
	}
	return c.each(o.args, func(path string) error {
		var st unix.Stat_t
		get := unix.Lstat
		if o.has("L") {
			get = unix.Stat
		}
		if err := get(path, &st); err != nil {
			return &fs.PathError{Op: "stat", Path: path, Err: err}
		}
		text, err := statText(format, path, &st)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.out, text)
		return nil
	})
}

func statText(format, path string, st *unix.Stat_t) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		value, ok := statField(format[i], path, st)
		if !ok {
			return "", usagef("unknown format %%%c", format[i])
		}
		fmt.Fprint(&b, value)
	}
	return b.String(), nil
}

func statField(letter byte, path string, st *unix.Stat_t) (value any, ok bool) {
	switch letter {
	case '%':
		return "%", true
	case 'n':
		return path, true
	case 'N':
		return quotedName(path), true
	case 'F':
		_, name := kindOf(st.Mode)
		if name == "regular file" && st.Size == 0 {
			name = "regular empty file"
		}
		return name, true
	case 'y':
		return time.Unix(st.Mtim.Unix()).UTC().Format("2006-01-02 15:04:05.000000000 -0700"), true
	}
	if value, ok := statNumber(letter, st); ok {
		return value, true
	}
	return statOwner(letter, st)
}

func statNumber(letter byte, st *unix.Stat_t) (value any, ok bool) {
	seconds := func(t unix.Timespec) int64 { s, _ := t.Unix(); return s }
	switch letter {
	case 's':
		return st.Size, true
	case 'h':
		return st.Nlink, true
	case 'i':
		return st.Ino, true
	case 'd':
		return st.Dev, true
	case 't':
		return fmt.Sprintf("%x", unix.Major(st.Rdev)), true
	case 'T':
		return fmt.Sprintf("%x", unix.Minor(st.Rdev)), true
	case 'X':
		return seconds(st.Atim), true
	case 'Y':
		return seconds(st.Mtim), true
	case 'Z':
		return seconds(st.Ctim), true
	}
	return nil, false
}

func statOwner(letter byte, st *unix.Stat_t) (value any, ok bool) {
	switch letter {
	case 'a':
		return fmt.Sprintf("%o", st.Mode&0o7777), true
	case 'A':
		return modeText(st.Mode), true
	case 'f':
		return fmt.Sprintf("%x", st.Mode), true
	case 'u':
		return st.Uid, true
	case 'g':
		return st.Gid, true
	case 'U':
		return userName(int(st.Uid)), true
	case 'G':
		return groupName(int(st.Gid)), true
	}
	return nil, false
}

func quotedName(path string) string {
	if target, err := os.Readlink(path); err == nil {
		return fmt.Sprintf("'%s' -> '%s'", path, target)
	}
	return "'" + path + "'"
}

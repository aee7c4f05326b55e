package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func mkdir(c *call) error {
	o, err := parse(c.args, "p", "m")
	if err != nil {
		return err
	}
	paths, err := o.some(1, "paths")
	if err != nil {
		return err
	}
	return c.each(paths, func(path string) error {
		makeDir := os.Mkdir
		if o.has("p") {
			makeDir = os.MkdirAll
		}
		if err := makeDir(path, 0o777); err != nil {
			return err
		}
		if mode, ok := o.values['m']; ok {
			return changeMode(path, mode)
		}
		return nil
	})
}

func rmdir(c *call) error { return c.each(c.args, unix.Rmdir) }

func rm(c *call) error {
	o, err := parse(c.args, "rRf", "")
	if err != nil {
		return err
	}
	return c.each(o.args, func(path string) error {
		fi, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && o.has("f"):
			return nil
		case err != nil:
			return err
		case fi.IsDir() && o.has("rR"):
			return os.RemoveAll(path)
		case fi.IsDir():
			return &fs.PathError{Op: "rm", Path: path, Err: unix.EISDIR}
		}
		return os.Remove(path)
	})
}

// ln makes hard links, or symbolic ones with -s; -f replaces what is there.
func ln(c *call) error {
	o, err := parse(c.args, "sfnT", "")
	if err != nil {
		return err
	}
	if o.has("n") {
		o.flags['T'] = len(o.args) == 2
	}
	if len(o.args) == 1 {
		o.args = append(o.args, ".")
	}
	sources, dest, err := o.target()
	if err != nil {
		return err
	}
	return c.each(sources, func(source string) error {
		to := dest(source)
		if o.has("f") {
			if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if o.has("s") {
			return os.Symlink(source, to)
		}
		return os.Link(source, to)
	})
}

func mv(c *call) error {
	o, err := parse(c.args, "fT", "")
	if err != nil {
		return err
	}
	sources, dest, err := o.target()
	if err != nil {
		return err
	}
	return c.each(sources, func(source string) error {
		to := dest(source)
		err := os.Rename(source, to)
		if !errors.Is(err, unix.EXDEV) {
			return err
		}
		if err := (copier{all: true}).copy(source, to); err != nil {
			return err
		}
		return os.RemoveAll(source)
	})
}

// cp copies files, and directories with -r. -p keeps mode, owner and time, -a also links and devices.
func cp(c *call) error {
	o, err := parse(c.args, "rRpadfT", "")
	if err != nil {
		return err
	}
	sources, dest, err := o.target()
	if err != nil {
		return err
	}
	cp := copier{deep: o.has("rRa"), keep: o.has("pa"), all: o.has("a"), links: o.has("da")}
	return c.each(sources, func(source string) error { return cp.copy(source, dest(source)) })
}

// copier copies trees.
type copier struct {
	// deep copies directories, keep keeps attributes, links keeps symbolic links.
	deep, keep, links bool
	// all does all of that.
	all bool
}

func (cp copier) copy(source, dest string) error {
	stat := os.Stat
	if cp.links || cp.all {
		stat = os.Lstat
	}
	fi, err := stat(source)
	if err != nil {
		return err
	}
	if err := cp.make(source, dest, fi); err != nil {
		return err
	}
	if cp.keep || cp.all {
		return keepAttributes(dest, fi)
	}
	return nil
}

func (cp copier) make(source, dest string, fi fs.FileInfo) error {
	switch mode := fi.Mode(); {
	case mode.IsRegular():
		return copyFile(source, dest, mode.Perm())
	case mode.IsDir():
		return cp.copyDir(source, dest, fi)
	case mode.Type() == fs.ModeSymlink:
		target, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return os.Symlink(target, dest)
	}
	st := system(fi)
	return unix.Mknod(dest, st.Mode, int(st.Rdev))
}

func (cp copier) copyDir(source, dest string, fi fs.FileInfo) error {
	if !cp.deep && !cp.all {
		return &fs.PathError{Op: "cp", Path: source, Err: unix.EISDIR}
	}
	if err := os.Mkdir(dest, fi.Mode().Perm()|0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	below := cp
	below.links = true
	for _, e := range entries {
		if err := below.copy(join(source, e.Name()), join(dest, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(source, dest string, perm fs.FileMode) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dest, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// keepAttributes gives dest the owner, mode and time of fi. Only root can give files away.
func keepAttributes(dest string, fi fs.FileInfo) error {
	st := system(fi)
	if err := os.Lchown(dest, int(st.Uid), int(st.Gid)); err != nil && os.Geteuid() == 0 {
		return err
	}
	if fi.Mode().Type() != fs.ModeSymlink {
		if err := unix.Chmod(dest, st.Mode&0o7777); err != nil {
			return err
		}
	}
	return setTime(dest, fi.ModTime())
}

func setTime(path string, t time.Time) error {
	ts := unix.NsecToTimespec(t.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// touch makes files and sets their time: now, or -d @SECONDS or an RFC 3339 time.
func touch(c *call) error {
	o, err := parse(c.args, "ch", "d")
	if err != nil {
		return err
	}
	now := time.Now()
	if d, ok := o.values['d']; ok {
		if now, err = parseTime(d); err != nil {
			return err
		}
	}
	return c.each(o.args, func(path string) error {
		_, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			if o.has("c") {
				return nil
			}
			if err := os.WriteFile(path, nil, 0o666); err != nil {
				return err
			}
		}
		return setTime(path, now)
	})
}

func parseTime(text string) (time.Time, error) {
	if s, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(n, 0), err
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("cannot read the time %q", text)
}

func mkfifo(c *call) error {
	return c.each(c.args, func(path string) error { return unix.Mkfifo(path, 0o666) })
}

// mknod makes a FIFO (p), or a device (b or c) with a major and a minor number.
func mknod(c *call) error {
	o, err := parse(c.args, "", "m")
	if err != nil {
		return err
	}
	args, err := o.some(2, "arguments")
	if err != nil {
		return err
	}
	kinds := map[string]uint32{"p": unix.S_IFIFO, "c": unix.S_IFCHR, "u": unix.S_IFCHR, "b": unix.S_IFBLK}
	kind, ok := kinds[args[1]]
	if !ok || args[1] != "p" && len(args) != 4 {
		return usagef("want PATH p, or PATH b|c MAJOR MINOR")
	}
	var number [2]uint32
	for i, arg := range args[2:] {
		n, err := strconv.ParseUint(arg, 0, 32)
		if err != nil {
			return usagef("%q is not a number", arg)
		}
		number[i] = uint32(n)
	}
	if err := unix.Mknod(args[0], kind|0o666, int(unix.Mkdev(number[0], number[1]))); err != nil {
		return &fs.PathError{Op: "mknod", Path: args[0], Err: err}
	}
	if mode, ok := o.values['m']; ok {
		return changeMode(args[0], mode)
	}
	return nil
}

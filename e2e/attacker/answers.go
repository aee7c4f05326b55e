//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// answers makes calls that look at and change what is at paths and prints how each ends: the same wherever the
// kernel does all of it and wherever some of it is done for it.
func answers(paths []string) []string {
	here, err := os.Getwd()
	if err != nil {
		return []string{err.Error()}
	}
	unix.Umask(0o027)
	for _, path := range paths {
		for _, q := range questions() {
			err := q.ask(path)
			fmt.Printf("%s %s: %s\n", q.name, path, unix.ErrnoName(errno(err)))
			if err := os.Chdir(here); err != nil {
				return []string{err.Error()}
			}
		}
		for _, name := range []string{path, beside(path, "l"), beside(path, "n"), beside(path, "r"), beside(path, "d"), elsewhere(path, "n")} {
			left(name)
		}
	}
	return nil
}

// left says whose and what a file is.
func left(path string) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err == nil {
		fmt.Printf("left: %s %o %d:%d\n", path, st.Mode, st.Uid, st.Gid)
	}
}

func errno(err error) unix.Errno {
	if e, ok := err.(unix.Errno); ok { //nolint:errorlint // these calls give nothing else
		return e
	}
	return 0
}

// question is a call about a path.
type question struct {
	name string
	ask  func(path string) error
}

// questions are those that change nothing first and those that take away last.
func questions() []question {
	all := []question{
		{"stat", func(path string) error { return unix.Stat(path, new(unix.Stat_t)) }},
		{"lstat", func(path string) error { return unix.Lstat(path, new(unix.Stat_t)) }},
		{"chdir", unix.Chdir},
		{"list attributes", func(path string) error { _, err := unix.Listxattr(path, nil); return err }},
		{"read link", func(path string) error { _, err := unix.Readlink(path, make([]byte, 100)); return err }},
	}
	for mode, name := range []string{"is there", "executes", "writes", "writes and executes", "reads"} {
		all = append(all, question{name, func(path string) error { return unix.Access(path, uint32(mode)) }})
	}
	all = append(all, opening()...)
	all = append(all, altering()...)
	return append(all, naming()...)
}

// opening are the ways to open a file.
func opening() (all []question) {
	for _, o := range []struct {
		name  string
		flags int
	}{
		{"path", unix.O_PATH},
		{"path, no link", unix.O_PATH | unix.O_NOFOLLOW},
		{"directory", unix.O_DIRECTORY},
		{"no link", unix.O_NOFOLLOW},
		{"without access time", unix.O_NOATIME},
		{"read", unix.O_RDONLY},
		{"write", unix.O_WRONLY},
		{"both", unix.O_RDWR},
		{"append", unix.O_WRONLY | unix.O_APPEND},
		{"make if missing, read", unix.O_RDONLY | unix.O_CREAT},
		{"make", unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL},
		{"make if missing", unix.O_WRONLY | unix.O_CREAT},
		{"nameless", unix.O_WRONLY | unix.O_TMPFILE},
		{"cut while reading", unix.O_RDONLY | unix.O_TRUNC},
		{"cut", unix.O_WRONLY | unix.O_TRUNC},
	} {
		all = append(all, question{"open: " + o.name, func(path string) error {
			fd, err := unix.Open(path, o.flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o666)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}})
	}
	return all
}

// altering are calls that change what is there.
func altering() []question {
	long := []unix.Timespec{{Sec: 1e9}, {Sec: 1e9}}
	return []question{
		{"now", func(path string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, path, nil, 0) }},
		{"long ago", func(path string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, path, long, 0) }},
		{"long ago, no link", func(path string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, path, long, unix.AT_SYMLINK_NOFOLLOW) }},
		{"label", func(path string) error { return unix.Setxattr(path, "user.colour", []byte("red"), 0) }},
		{"unlabel", func(path string) error { return unix.Removexattr(path, "user.colour") }},
		{"shorten", func(path string) error { return unix.Truncate(path, 0) }},
		{"change mode", func(path string) error { return unix.Chmod(path, 0o2755) }},
		{"give to the group", func(path string) error { return unix.Lchown(path, -1, os.Getgid()) }},
		{"give away", func(path string) error { return unix.Lchown(path, 77, -1) }},
		{"change what is open", throughDescriptor},
	}
}

// throughDescriptor changes a file that is open.
func throughDescriptor(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Fchmod(fd, 0o700); err != nil {
		return err
	}
	if err := unix.Fchdir(fd); err != nil && err != unix.ENOTDIR {
		return err
	}
	return unix.Fchown(fd, -1, os.Getgid())
}

// naming are calls that make and take away names. What they make beside a path has its name and one more letter.
func naming() []question {
	return []question{
		{"make directory", func(path string) error { return unix.Mkdir(path, 0o777) }},
		{"remove directory", unix.Rmdir},
		{"make pipe", func(path string) error { return unix.Mknod(path, unix.S_IFIFO|0o666, 0) }},
		{"make link", func(path string) error { return unix.Symlink("to", path) }},
		{"make link beside", func(path string) error { return unix.Symlink("to", beside(path, "l")) }},
		{"name twice", func(path string) error { return unix.Link(path, beside(path, "n")) }},
		{"name elsewhere", func(path string) error { return unix.Link(path, elsewhere(path, "n")) }},
		{"rename", func(path string) error { return unix.Rename(path, beside(path, "r")) }},
		{"rename back", func(path string) error { return unix.Rename(beside(path, "r"), path) }},
		{"make directory beside", func(path string) error { return unix.Mkdir(beside(path, "d"), 0o777) }},
		{"rename into", func(path string) error { return unix.Rename(beside(path, "d"), path+"/d") }},
		{"exchange", func(path string) error {
			return unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, beside(path, "l"), unix.RENAME_EXCHANGE)
		}},
		{"move elsewhere", func(path string) error { return unix.Rename(path, elsewhere(path, "r")) }},
		{"move back", func(path string) error { return unix.Rename(elsewhere(path, "r"), path) }},
		{"unlink", unix.Unlink},
		{"unlink again", unix.Unlink},
		{"remove directory again", unix.Rmdir},
	}
}

func beside(path, letter string) string { return strings.TrimRight(path, "/") + letter }

func elsewhere(path, letter string) string { return "/tmp/" + letter + filepath.Base(path) }

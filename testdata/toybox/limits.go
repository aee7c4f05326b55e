package main

import (
	"fmt"
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// umask prints or sets, in octal, the permissions that new files do not get.
func umask(w io.Writer, args []string) error {
	if len(args) == 0 {
		old := unix.Umask(0)
		unix.Umask(old)
		fmt.Fprintf(w, "%04o\n", old)
		return nil
	}
	mask, err := strconv.ParseUint(args[0], 8, 9)
	if err != nil {
		return err
	}
	unix.Umask(int(mask))
	return nil
}

// ulimit prints a limit of the process.
func ulimit(w io.Writer, args []string) error {
	o, err := parse(args, "HScflnsuv", "")
	if err != nil {
		return err
	}
	resource := unix.RLIMIT_FSIZE
	for flag, r := range map[rune]int{
		'c': unix.RLIMIT_CORE, 'l': unix.RLIMIT_MEMLOCK, 'n': unix.RLIMIT_NOFILE, 's': unix.RLIMIT_STACK,
		'u': unix.RLIMIT_NPROC, 'v': unix.RLIMIT_AS,
	} {
		if o.flags[flag] {
			resource = r
		}
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(resource, &limit); err != nil {
		return err
	}
	n := limit.Cur
	if o.flags['H'] {
		n = limit.Max
	}
	if n == unix.RLIM_INFINITY {
		fmt.Fprintln(w, "unlimited")
	} else {
		fmt.Fprintln(w, n)
	}
	return nil
}

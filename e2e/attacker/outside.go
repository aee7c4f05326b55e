//go:build linux

package main

import (
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// outside leaves the root directory and tries what needs no open file, as Landlock has no say in that: the path
// of a file outside is the argument.
func outside(args []string) (found []string) {
	if err := climbOut(); err != nil {
		_ = unix.Chdir("/")
	}
	path := strings.Repeat("../", 40) + strings.TrimPrefix(args[0], "/")
	var st unix.Stat_t
	for way, err := range map[string]error{
		"stat": unix.Stat(path, &st), "chmod": unix.Chmod(path, 0o777), "chown": unix.Chown(path, 7, 7),
		"utimes": unix.Utimes(path, make([]unix.Timeval, 2)), "setxattr": unix.Setxattr(path, "user.attack", nil, 0),
		"truncate": unix.Truncate(path, 0), "unlink": unix.Unlink(path),
	} {
		if err == nil {
			found = append(found, way+" of a file outside")
		}
	}
	return found
}

// chain leaves a process behind that is another one whenever anybody looks: each starts the next and ends.
func chain([]string) []string {
	if err := start("chain"); err != nil {
		return []string{"starting the next: " + err.Error()}
	}
	return nil
}

// shed takes off the mark by which the processes of a command are known where they have no pid namespace, with
// half of the number of the resource limit that nobody looks at, and leaves a process behind.
func shed([]string) []string {
	limit := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	resource := uint64(1)<<32 | unix.RLIMIT_RTTIME
	_, _, _ = unix.Syscall6(unix.SYS_PRLIMIT64, 0, uintptr(resource), uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	return leave([]string{"1"})
}

// swap turns a directory into a link to elsewhere and back, for so many seconds.
func swap(args []string) []string {
	path, away := args[0], args[0]+".away"
	seconds, _ := strconv.Atoi(args[2])
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		_ = os.Rename(path, away)
		_ = os.Symlink(args[1], path)
		_ = os.Remove(path)
		_ = os.Rename(away, path)
	}
	return nil
}

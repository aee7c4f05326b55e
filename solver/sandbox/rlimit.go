//go:build linux

package sandbox

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Resource returns the resource that a limit called name, as ulimit and docker call it, bounds.
func Resource(name string) (resource int, ok bool) {
	resource, ok = map[string]int{
		"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
		"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
		"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
		"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
		"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
	}[name]
	return resource, ok
}

// Check says whether this process may set the limit: without rights over the machine only up to its own.
func (r Rlimit) Check() error {
	var own unix.Rlimit
	if err := unix.Getrlimit(r.Resource, &own); err != nil {
		return err
	}
	if r.Hard > own.Max {
		return fmt.Errorf("%s is above %d, the most that this user may have (see ulimit -H)", number(r.Hard), own.Max)
	}
	return nil
}

func number(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

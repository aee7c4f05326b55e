//go:build linux

package sandbox

import (
	"fmt"
	"slices"
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

// starting are the limits that a command starts with, one of each resource: a second could not raise what the first
// has lowered. What somebody has asked for replaces what holds by default, and what was asked for before.
func (l *Limits) starting(h *Host) []Rlimit {
	list := []Rlimit{{Resource: unix.RLIMIT_CORE}}
	if h.Files.Hard > 0 {
		list = append(list, h.Files)
	}
	if n, ok := l.processes(h.Rung); ok {
		list = append(list, n)
	}
	for _, asked := range l.Rlimits {
		list = slices.DeleteFunc(list, func(r Rlimit) bool { return r.Resource == asked.Resource })
		list = append(list, asked)
	}
	return list
}

// lower adds r, or if there is a limit of its resource already, lowers that to r.
func (l *Limits) lower(r Rlimit) {
	there := false
	for i := range l.Rlimits {
		if o := &l.Rlimits[i]; o.Resource == r.Resource {
			o.Soft, o.Hard, there = min(o.Soft, r.Soft), min(o.Hard, r.Hard), true
		}
	}
	if !there {
		l.Rlimits = append(l.Rlimits, r)
	}
}

func number(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

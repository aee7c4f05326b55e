//go:build linux

package sandbox

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mark tells the processes of one step from all others where there are no pid namespaces. It is the value of a
// resource limit, RLIMIT_RTTIME, which bounds only what no command may use, realtime scheduling: children
// inherit it, /proc/PID/limits shows it for every user's processes, and the supervisor lets nobody change it.
type mark uint64

// newMark returns a mark that no other step of this machine has, but by accident: microseconds since the
// machine was started, on top of a number that nobody uses as a limit.
func newMark() *mark {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // cannot fail
	m := mark(1<<60 | uint64(now.Nano())&(1<<60-1))
	return &m
}

// carriedBy reports whether the process, or thread, whose directory in /proc is dir carries m.
func (m *mark) carriedBy(dir string) bool {
	text, err := os.ReadFile(dir + "/limits")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(text), "Max realtime timeout")
	f := strings.Fields(after)
	return len(f) > 0 && f[0] == strconv.FormatUint(uint64(*m), 10)
}

// killAll kills all processes that carry m, again and again until there are none and gone is closed: one that is
// in no list may have made another meanwhile.
func (m *mark) killAll(gone <-chan struct{}) {
	for {
		carriers := m.carriers()
		for _, pid := range carriers {
			_ = unix.Kill(pid, unix.SIGKILL)
			// Those whose parent has ended are this process's children, as it is a subreaper.
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
		if len(carriers) == 0 {
			select {
			case <-gone:
				return
			default:
			}
		}
		<-time.After(time.Millisecond)
	}
}

// carriers lists the processes that carry m.
func (m *mark) carriers() []int {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && m.carriedBy("/proc/"+name) {
			pids = append(pids, pid)
		}
	}
	return pids
}

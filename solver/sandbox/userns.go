//go:build linux

package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// makeUserns makes the user namespace of all commands. It maps every id to itself, but root in it has no
// rights over the mounts, processes and networks that this process made for it. A namespace needs a
// process to be born, so one is forked that waits until the namespace is open and then ends.
func (h *Host) makeUserns() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var list callList
	list.try("closing", unix.SYS_CLOSE, w.Fd())
	list.try("waiting", unix.SYS_READ, r.Fd(), list.bytes(make([]byte, 1)), 1)
	list.add("ending", unix.SYS_EXIT_GROUP, 0)

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, pidfd, err := fork(unix.CLONE_NEWUSER, &list)
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("making the user namespace of commands: %w", err)
	}
	defer func() {
		w.Close()
		_, _ = reap(pid)
		pidfd.Close()
	}()
	n, err := procPid(pidfd)
	if err != nil {
		return nil, err
	}
	if err := (idMap{UIDs: identity(h.UIDs), GIDs: identity(h.GIDs)}).write(n); err != nil {
		return nil, fmt.Errorf("making the user namespace of commands: %w", err)
	}
	return os.Open(fmt.Sprintf("/proc/%d/ns/user", n))
}

// procPid returns the pid under which /proc knows a process, which differs from ours where /proc
// belongs to an outer pid namespace.
func procPid(pidfd *os.File) (int, error) {
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", pidfd.Fd()))
	if err != nil {
		return 0, err
	}
	for s := bufio.NewScanner(bytes.NewReader(info)); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "Pid:"); ok {
			return strconv.Atoi(strings.TrimSpace(v))
		}
	}
	return 0, fmt.Errorf("/proc does not tell the pid behind a descriptor")
}

//go:build linux

package supervisor

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// confine keeps commands from signalling and tracing processes that are not of their step, where the kernel
// does not.
func (s *Supervisor) confine() {
	for name, h := range map[string]handler{
		"kill": kill, "tkill": signal, "tgkill": signal, "rt_sigqueueinfo": signal, "rt_tgsigqueueinfo": signal, "pidfd_open": signal,
		"ptrace": refuse(unix.EPERM), "process_vm_readv": refuse(unix.EPERM), "process_vm_writev": refuse(unix.EPERM),
		"pidfd_getfd": refuse(unix.EPERM), "kcmp": refuse(unix.EPERM), "process_madvise": refuse(unix.EPERM),
	} {
		s.calls[name] = handled{answer: h}
	}
}

// signal answers calls whose first argument is a process or thread.
func signal(t *task) answer {
	if !t.ours(t.fd(0)) {
		return failure(unix.ESRCH)
	}
	return proceed()
}

// kill answers kill(2).
func kill(t *task) answer {
	switch pid := t.fd(0); {
	case pid == 0: // its own process group: the command began a session
		return proceed()
	case pid == -1:
		return t.killAll(unix.Signal(t.args[1]))
	case pid < 0:
		pid = -pid
		fallthrough
	default:
		if !t.ours(pid) {
			return failure(unix.ESRCH)
		}
		return proceed()
	}
}

// ours reports whether a process, or thread, belongs to the step.
func (t *task) ours(pid int) bool { return t.files.Ours("/proc/" + strconv.Itoa(pid)) }

// killAll signals all processes of the step but the task's own.
func (t *task) killAll(s unix.Signal) answer {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return failure(unix.EPERM)
	}
	found := false
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil || "/proc/"+name.Name() == t.process() || !t.ours(pid) {
			continue
		}
		found = true
		_ = unix.Kill(pid, s)
	}
	if !found {
		return failure(unix.ESRCH)
	}
	return result(0)
}

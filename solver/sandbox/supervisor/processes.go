//go:build linux

package supervisor

import "golang.org/x/sys/unix"

// End keeps the commands of a supervisor of files from starting processes from now on, so that killing those
// that there are is an end of them.
func (s *Supervisor) End() { s.ending.Store(true) }

// begin answers the calls that start a process.
func begin(t *task) answer {
	if t.ending.Load() {
		return failure(unix.EAGAIN)
	}
	return proceed()
}

// newProcess restricts clone(2) to processes: threads end with theirs. Namespaces are for the filter to refuse.
func newProcess() []Bits {
	const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
	return []Bits{{Index: 0, Mask: unix.CLONE_THREAD | namespaces, Value: 0}}
}

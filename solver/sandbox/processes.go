//go:build linux

package sandbox

import (
	"slices"

	"golang.org/x/sys/unix"
)

// defaultProcesses is how many processes and threads each user may have in all commands together if nothing else is
// said, so that one that multiplies itself does not take the machine down. Make with a job for each of 128
// processors has a sixteenth of that.
const defaultProcesses = 8192

// processes returns the limit on the processes of each user of a command; ok is false if there is none of this kind.
// Since Linux 5.14 the kernel counts those of the commands' own user namespace; before, all that the user has on
// the machine. So there is none on the rung chroot, whose root the kernel would exempt anyway.
func (l *Limits) processes(rung Rung) (limit Rlimit, ok bool) {
	set := func(r Rlimit) bool { return r.Resource == unix.RLIMIT_NPROC }
	if rung == RungChroot || l.Resources.Pids != 0 || slices.ContainsFunc(l.Rlimits, set) {
		return limit, false
	}
	return mostProcesses(defaultProcesses), true
}

// mostProcesses is a limit of n, or of as many as this process may have.
func mostProcesses(n uint64) Rlimit {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &own); err == nil {
		n = min(n, own.Max)
	}
	return Rlimit{Resource: unix.RLIMIT_NPROC, Soft: n, Hard: n}
}

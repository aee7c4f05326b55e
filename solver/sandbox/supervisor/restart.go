//go:build linux

package supervisor

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// A call that is passed on can be interrupted by a signal, until it has been received, even if it is one that
// otherwise never is, such as vfork(2) or open(2). If the handler of the signal was set with SA_RESTART the kernel
// then makes the call again; else it fails with EINTR, which programs do not expect. Shells have a handler without
// it for SIGCHLD, the one signal that comes all the time in ordinary work: such a handler gets SA_RESTART. What
// waits for signals, see signal(7), is interrupted all the same.

// saRestart is SA_RESTART of linux/signal.h.
const saRestart = 0x10000000

// ofChildren restricts rt_sigaction(2) to SIGCHLD.
func ofChildren() []Bits { return []Bits{{Index: 0, Mask: 1<<32 - 1, Value: uint64(unix.SIGCHLD)}} }

// restarting answers rt_sigaction(2) for it. The structure that is changed is one that the C library makes for
// the call.
func restarting(t *task) answer {
	if t.args[1] == 0 {
		return proceed()
	}
	at := t.args[1] + 8 // after the handler
	if t.narrow {
		at = t.args[1] + 4
	}
	var b [4]byte
	if err := t.read(at, b[:]); err != nil {
		return proceed()
	}
	flags := binary.NativeEndian.Uint32(b[:])
	if flags&saRestart == 0 {
		binary.NativeEndian.PutUint32(b[:], flags|saRestart)
		_ = t.write(at, b[:]) // what cannot be written to stays as it is
	}
	return proceed()
}

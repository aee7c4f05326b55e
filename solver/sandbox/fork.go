//go:build linux

package sandbox

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is one system call that the child makes between its birth and the command it becomes. The whole
// life of the child is a list of them, made beforehand by ordinary code, because a child that shares its
// parent's memory must not allocate, lock or grow its stack.
type call struct {
	// what completes the sentence "… : permission denied".
	what string
	nr   uintptr
	args [6]uintptr
	// fd, if not 0, says that the argument with index fd-1 is to be replaced by the saved result.
	fd int
	// save keeps the result for later calls.
	save bool
	// store, if not nil, receives the result as well.
	store *int32
	// optional lets the child go on whatever the call returns.
	optional bool
}

// childFailed tells which call of a child failed, and how. The child writes it, its parent reads it.
type childFailed struct {
	index int32
	errno int32
	// pipe, if not 0, is the descriptor to which a child with a memory of its own writes the above.
	pipe uintptr
}

// failedSize is the number of bytes of index and errno.
const failedSize = 8

// sharing makes the child use its parent's memory, and suspends the calling thread until the child has
// become its command. That costs a tenth of starting a second copy of this program.
const sharing = unix.CLONE_VM | unix.CLONE_VFORK

// fork starts a child that makes the calls in order; the last one should be execve or exit. It returns
// the child's pid and a pidfd. The calling goroutine must be locked to its thread.
//
// With sharing in flags, fork returns when the child has become its command, and if a call fails
// the child is gone and fork returns the error. Without it the child has a copy of the memory, goes on
// beside its parent, and nobody learns how it fares.
func fork(flags uintptr, list *callList) (pid int, pidfd *os.File, err error) {
	return forkFailing(flags, list, &childFailed{index: -1})
}

// forkCopy is fork with sharing, but for a child whose calls this process answers: while they share their
// memory this process could not. The child gets a copy, which takes longer.
func forkCopy(flags uintptr, list *callList) (pid int, pidfd *os.File, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, nil, err
	}
	defer r.Close()
	failed := &childFailed{index: -1, pipe: w.Fd()}
	pid, pidfd, err = forkFailing(flags, list, failed)
	w.Close()
	if err != nil {
		return 0, nil, err
	}
	b := (*[failedSize]byte)(unsafe.Pointer(failed))
	if _, err := io.ReadFull(r, b[:]); err != nil { // closed by execve
		return pid, pidfd, nil
	}
	return failed.found(pid, pidfd, list)
}

func forkFailing(flags uintptr, list *callList, failed *childFailed) (pid int, pidfd *os.File, err error) {
	var fd int32 = -1
	syscall.ForkLock.Lock()
	n, errno := forkChild(flags|unix.CLONE_PIDFD|uintptr(unix.SIGCHLD), &fd, list.calls, failed)
	syscall.ForkLock.Unlock()
	runtime.KeepAlive(list)
	if errno != 0 {
		return 0, nil, fmt.Errorf("creating a process: %w", errno)
	}
	return failed.found(int(n), os.NewFile(uintptr(fd), "pidfd"), list)
}

// found returns the child, or its failure if there was one.
func (f *childFailed) found(pid int, pidfd *os.File, list *callList) (int, *os.File, error) {
	if f.index < 0 {
		return pid, pidfd, nil
	}
	_, _ = reap(pid)
	pidfd.Close()
	return 0, nil, &callError{list.calls[f.index].what, syscall.Errno(f.errno)}
}

// callError is the failure of one call of a child.
type callError struct {
	what string
	err  error
}

func (e *callError) Error() string { return e.what + ": " + e.err.Error() }

func (e *callError) Unwrap() error { return e.err }

// forkChild must not be inlined or grow the stack, and neither must what it calls: from the clone on two
// processes run on one stack.
//
//go:noinline
//go:norace
func forkChild(flags uintptr, pidfd *int32, calls []call, failed *childFailed) (pid uintptr, errno syscall.Errno) {
	runtimeBeforeFork()
	pid, errno = vfork(flags, uintptr(unsafe.Pointer(pidfd)))
	if errno != 0 || pid != 0 {
		runtimeAfterFork()
		return pid, errno
	}
	runtimeAfterForkInChild()
	runCalls(calls, failed)
	if failed.pipe != 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, failed.pipe, uintptr(unsafe.Pointer(failed)), failedSize)
	}
	for {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT, 255, 0, 0)
	}
}

//go:nosplit
//go:norace
func runCalls(calls []call, failed *childFailed) {
	var saved uintptr
	for i := range calls {
		c := &calls[i]
		if c.fd != 0 {
			c.args[c.fd-1] = saved
		}
		r, _, errno := syscall.RawSyscall6(c.nr, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
		if errno != 0 {
			if !c.optional {
				failed.index, failed.errno = int32(i), int32(errno)
				return
			}
			r = ^uintptr(0)
		}
		if c.save {
			saved = r
		}
		if c.store != nil {
			*c.store = int32(r)
		}
	}
}

// reap waits for the child pid and returns how it ended.
func reap(pid int) (unix.WaitStatus, error) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if err != unix.EINTR {
			return status, err
		}
	}
}

// vfork is clone(2) for a child that runs on its parent's stack, with the pidfd stored at ptid.
//
//go:noescape
func vfork(flags, ptid uintptr) (pid uintptr, errno syscall.Errno)

// The runtime blocks signals around a fork and resets their handlers in the child, as it does for
// package syscall; these names are kept stable for programs that fork on their own (see the comments
// in runtime/proc.go).

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:linkname runtimeAfterForkInChild syscall.runtime_AfterForkInChild
func runtimeAfterForkInChild()

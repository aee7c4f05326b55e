//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refuse runs a command that sees a kernel without some file systems: mount and fsopen of these types fail
// with ENODEV. It must be run by root, because a filter by others would make newuidmap powerless.
func refuse(types, command []string) error {
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it lives as long as we do
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	started := make(chan error, 1)
	listener := make(chan int, 1)
	go func() {
		runtime.LockOSThread() // the filter is that of this thread and of the command
		fd, err := install()
		if err == nil {
			listener <- fd
			err = cmd.Start()
		}
		started <- err
	}()
	select {
	case err := <-started:
		return err
	case fd := <-listener:
		go func() { _ = serve(fd, types) }() // ends with the last that is under the filter
	}
	if err := <-started; err != nil {
		return err
	}
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	return err
}

// install installs a filter that asks about mount and fsopen, and returns its listener.
func install() (int, error) {
	const number = 0 // its offset in struct seccomp_data
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 2, K: unix.SYS_MOUNT},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: unix.SYS_FSOPEN},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
	}
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return 0, fmt.Errorf("installing the filter: %w", errno)
	}
	return int(fd), nil
}

// notification is struct seccomp_notif, answer is struct seccomp_notif_resp, see seccomp_unotify(2).
type notification struct {
	id         uint64
	pid, flags uint32
	number     int32
	arch       uint32
	pointer    uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

const (
	receive    = 0xc0502100
	send       = 0xc0182101
	letItGo    = 1
	typeLength = 32
)

// serve answers for as long as there is somebody to ask.
func serve(listener int, types []string) error {
	for {
		var n notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), receive, uintptr(unsafe.Pointer(&n))); errno == unix.EINTR || errno == unix.ENOENT {
			continue
		} else if errno != 0 {
			return errno
		}
		a := answer{id: n.id, flags: letItGo}
		at := n.args[0]
		if n.number == unix.SYS_MOUNT {
			at = n.args[2]
		}
		if slices.Contains(types, text(n.pid, at)) {
			a = answer{id: n.id, errno: -int32(unix.ENODEV)}
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), send, uintptr(unsafe.Pointer(&a))) // who asked may be gone
	}
}

// text reads a string of a process.
func text(pid uint32, at uint64) string {
	if at == 0 {
		return ""
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return ""
	}
	defer memory.Close()
	b := make([]byte, typeLength)
	n, _ := memory.ReadAt(b, int64(at)) // what follows may not be mapped
	if end := slices.Index(b[:n], 0); end >= 0 {
		return string(b[:end])
	}
	return ""
}

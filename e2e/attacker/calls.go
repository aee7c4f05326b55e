//go:build linux

package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is a system call that must be refused.
type call struct {
	name       string
	nr         uintptr
	a, b, c, d uintptr
}

// calls makes system calls that must be refused.
func calls([]string) (found []string) {
	page := make([]byte, 4096)
	p := uintptr(unsafe.Pointer(&page[0]))
	list := []call{
		{"unshare a user namespace", unix.SYS_UNSHARE, unix.CLONE_NEWUSER, 0, 0, 0},
		{"unshare a mount namespace", unix.SYS_UNSHARE, unix.CLONE_NEWNS, 0, 0, 0},
		{"enter a namespace", unix.SYS_SETNS, 0, unix.CLONE_NEWNS, 0, 0},
		{"bpf", unix.SYS_BPF, 0, p, 128, 0},
		{"join a session keyring", unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0},
		{"add a key", unix.SYS_ADD_KEY, p, p, p, 0},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, p, 0, ^uintptr(0), ^uintptr(0)},
		{"userfaultfd", unix.SYS_USERFAULTFD, 0, 0, 0, 0},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, 1, p, 0, 0},
		{"a socket of the kernel's ciphers", unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET, 0, 0},
		{"a socket of the machine's hypervisor", unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0, 0},
		{"kexec_load", unix.SYS_KEXEC_LOAD, 0, 0, 0, 0},
		{"init_module", unix.SYS_INIT_MODULE, p, 0, p, 0},
		{"settimeofday", unix.SYS_SETTIMEOFDAY, p, 0, 0, 0},
		{"reboot", unix.SYS_REBOOT, 0xfee1dead, 672274793, 0, 0},
		{"swapon", unix.SYS_SWAPON, p, 0, 0, 0},
		{"fsopen", unix.SYS_FSOPEN, p, 0, 0, 0},
		{"open_tree", unix.SYS_OPEN_TREE, 0, p, 0, 0},
		{"move_mount", unix.SYS_MOVE_MOUNT, 0, p, 0, p},
		{"pivot_root", unix.SYS_PIVOT_ROOT, p, p, 0, 0},
		{"quotactl", unix.SYS_QUOTACTL, 0, p, 0, p},
		{"acct", unix.SYS_ACCT, p, 0, 0, 0},
		{"lookup_dcookie", unix.SYS_LOOKUP_DCOOKIE, 0, p, 0, 0},
	}
	for _, c := range append(list, foreignCalls(p)...) {
		if _, _, errno := unix.RawSyscall6(c.nr, c.a, c.b, c.c, c.d, 0, 0); errno != unix.EPERM && errno != unix.ENOSYS && errno != unix.EAFNOSUPPORT {
			found = append(found, fmt.Sprintf("%s: %v", c.name, errno))
		}
	}
	return found
}

package main

import "golang.org/x/sys/unix"

// foreignCalls are calls of the ABI x32, whose numbers have a bit more.
func foreignCalls(p uintptr) []call {
	const x32 = 0x40000000
	return []call{
		{"start a process in a user namespace", unix.SYS_CLONE, unix.CLONE_NEWUSER, 0, 0, 0},
		{"unshare a user namespace by x32", x32 | unix.SYS_UNSHARE, unix.CLONE_NEWUSER, 0, 0, 0},
		{"bpf by x32", x32 | unix.SYS_BPF, 0, p, 128, 0},
		{"a socket of the kernel's ciphers by x32", x32 | unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET, 0, 0},
		{"mount by x32", x32 | unix.SYS_MOUNT, p, p, p, 0},
	}
}

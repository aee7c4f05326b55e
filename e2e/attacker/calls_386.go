package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketArguments are those of a socket of the kernel's ciphers.
var socketArguments = [3]uintptr{unix.AF_ALG, unix.SOCK_SEQPACKET, 0}

// foreignCalls are calls that only this ABI has: socketcall(2) has its arguments in memory, where a filter does not
// see them.
func foreignCalls(p uintptr) []call {
	const socket = 1 // SYS_SOCKET of linux/net.h
	return []call{
		{"start a process in a user namespace", unix.SYS_CLONE, unix.CLONE_NEWUSER, 0, 0, 0},
		{"a socket of the kernel's ciphers by socketcall", unix.SYS_SOCKETCALL, socket, uintptr(unsafe.Pointer(&socketArguments)), 0, 0},
		{"vm86", unix.SYS_VM86, 1, p, 0, 0},
	}
}

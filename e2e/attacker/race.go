//go:build linux

package main

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// race opens a file that it may read by a path that becomes that of another, as long, while it is looked at, and
// reads what it has got. The other file says "secret".
func race(args []string) (found []string) {
	path := append([]byte(args[0]), 0)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				copy(path, args[i%2])
			}
		}
	}()
	for range 5000 {
		at := unix.AT_FDCWD
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(&path[0])), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
		if errno != 0 {
			continue
		}
		var b [6]byte
		n, _ := unix.Read(int(fd), b[:])
		_ = unix.Close(int(fd))
		if string(b[:n]) == "secret" {
			return []string{"reading another's file by a path that changes"}
		}
	}
	runtime.KeepAlive(path)
	return nil
}

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ownerRecord is the attribute in which builder records owners, see the package ownership.
const ownerRecord = "user.builder.owner"

// forge makes programs with the setuid bit in a directory and records that they are root's, in all the ways that
// there are: what has become of it is to be seen in the image. The name of a file is that of the way.
func forge(args []string) (found []string) {
	value := []byte("0:0")
	for way, set := range map[string]func(path string, f *os.File) error{
		"path": func(path string, _ *os.File) error { return unix.Setxattr(path, ownerRecord, value, 0) },
		"link": func(path string, _ *os.File) error { return unix.Lsetxattr(path, ownerRecord, value, 0) },
		"file": func(_ string, f *os.File) error { return unix.Fsetxattr(int(f.Fd()), ownerRecord, value, 0) },
		"race": func(path string, _ *os.File) error { return renaming(path, value) },
		"at":   setxattrat,
	} {
		path := filepath.Join(args[0], way)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
		if err == nil {
			err = unix.Chmod(path, 0o4755)
		}
		if err != nil {
			return []string{err.Error()}
		}
		if err := set(path, f); err == nil && len(args) > 1 { // must be refused
			found = append(found, "recording an owner: "+way)
		}
		f.Close()
	}
	path := filepath.Join(args[0], "path")
	return slices.Concat(found, ordinaryAttributes(path, len(args) > 1))
}

// renaming sets an attribute whose name changes while it is set.
func renaming(path string, value []byte) error {
	name := []byte("user.builder_owner\x00")
	done := make(chan struct{})
	defer close(done)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				name[12] = "_."[i%2]
			}
		}
	}()
	p, _ := unix.BytePtrFromString(path)
	for range 2000 {
		_, _, _ = unix.Syscall6(unix.SYS_SETXATTR, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&value[0])), uintptr(len(value)), 0, 0)
	}
	runtime.KeepAlive(name)
	b := make([]byte, len(value))
	if n, err := unix.Getxattr(path, ownerRecord, b); err != nil || !bytes.Equal(b[:n], value) {
		return unix.EPERM
	}
	return nil
}

// setxattrat makes the newest of these calls, of Linux 6.13.
func setxattrat(path string, _ *os.File) error {
	value := []byte("0:0")
	args := struct {
		value       uint64
		size, flags uint32
	}{uint64(uintptr(unsafe.Pointer(&value[0]))), uint32(len(value)), 0}
	p, _ := unix.BytePtrFromString(path)
	n, _ := unix.BytePtrFromString(ownerRecord)
	const number, here = 463, ^uintptr(99) // AT_FDCWD
	_, _, errno := unix.Syscall6(number, here, uintptr(unsafe.Pointer(p)), 0, uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args))
	if errno != 0 {
		return errno
	}
	return nil
}

// ordinaryAttributes sets, lists and removes attributes of other names, which must succeed; records are not listed
// where a supervisor keeps them.
func ordinaryAttributes(path string, supervised bool) (found []string) {
	const name = "user.colour"
	if err := unix.Setxattr(path, name, []byte("red"), unix.XATTR_CREATE); err != nil {
		return []string{"setting an attribute: " + err.Error()}
	}
	if err := unix.Setxattr(path, name, nil, unix.XATTR_CREATE); err != unix.EEXIST {
		found = append(found, fmt.Sprintf("setting it again: %v", err))
	}
	need, err := unix.Listxattr(path, nil)
	b := make([]byte, 256)
	n, err2 := unix.Listxattr(path, b)
	names := strings.Split(strings.TrimSuffix(string(b[:max(n, 0)]), "\x00"), "\x00")
	if err != nil || err2 != nil || need != n || !slices.Contains(names, name) {
		found = append(found, fmt.Sprintf("listing attributes: %d, %v; %q, %v", need, err, names, err2))
	}
	if supervised && slices.Contains(names, ownerRecord) {
		found = append(found, "the record of an owner is listed")
	}
	if _, err := unix.Listxattr(path, make([]byte, 1)); err != unix.ERANGE {
		found = append(found, fmt.Sprintf("listing into a small buffer: %v", err))
	}
	capability := "\x01\x00\x00\x02\x00\x20" + strings.Repeat("\x00", 14)
	if err := unix.Setxattr(path, "security.capability", []byte(capability), 0); (err == nil) != (unix.Geteuid() == 0) {
		found = append(found, fmt.Sprintf("giving a program capabilities: %v", err))
	}
	if err := unix.Removexattr(path, name); err != nil {
		found = append(found, "removing an attribute: "+err.Error())
	}
	return found
}

// attributesOfOpen does the same by the names that a file has in /proc when it is open, as the C library does. What is
// no file has no attributes.
func attributesOfOpen(args []string) (found []string) {
	const name = "user.open"
	f, err := os.Open(args[0])
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	for _, dir := range []string{"/proc/self/fd", "/proc/thread-self/fd", fmt.Sprintf("/proc/%d/fd", os.Getpid()), "/dev/fd"} {
		runtime.LockOSThread()
		open := fmt.Sprintf("%s/%d", dir, f.Fd())
		if err := unix.Setxattr(open, name, []byte("yes"), unix.XATTR_CREATE); err != nil {
			found = append(found, fmt.Sprintf("setting an attribute of %s: %v", open, err))
		}
		if n, err := unix.Listxattr(open, nil); err != nil || n <= len(name) {
			found = append(found, fmt.Sprintf("listing the attributes of %s: %d, %v", open, n, err))
		}
		if err := unix.Removexattr(open, name); err != nil {
			found = append(found, fmt.Sprintf("removing an attribute of %s: %v", open, err))
		}
		runtime.UnlockOSThread()
	}
	for _, shown := range []string{"/proc/self/exe", "/proc/self/fd", "/proc/self/status", "/proc/self/cwd", "/proc/cpuinfo"} {
		if _, err := unix.Listxattr(shown, nil); err != nil {
			found = append(found, fmt.Sprintf("listing the attributes of %s: %v", shown, err))
		}
	}
	if err := unix.Setxattr("/proc/self/fd", name, nil, 0); err != unix.EOPNOTSUPP {
		found = append(found, fmt.Sprintf("setting an attribute of a directory of /proc: %v", err))
	}
	for _, fd := range []int{-1, 9999} {
		_, listing := unix.Flistxattr(fd, nil)
		for way, err := range map[string]error{
			"listing": listing, "setting": unix.Fsetxattr(fd, name, nil, 0), "removing": unix.Fremovexattr(fd, name), "giving away": unix.Fchown(fd, 0, 0),
		} {
			if !errors.Is(err, unix.EBADF) {
				found = append(found, fmt.Sprintf("%s with the descriptor %d: %v", way, fd, err))
			}
		}
	}
	return found
}

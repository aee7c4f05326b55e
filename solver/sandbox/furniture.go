//go:build linux

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/solver/sandbox/supervisor"
)

// buildDev makes a /dev in a directory, where it cannot be a file system of its own.
func buildDev(dir string) error {
	for _, name := range devices() {
		var st unix.Stat_t
		if err := unix.Stat("/dev/"+name, &st); err != nil {
			return err
		}
		at := filepath.Join(dir, name)
		if err := unix.Mknod(at, unix.S_IFCHR|0o666, int(st.Rdev)); err != nil {
			return fmt.Errorf("making the device %s: %w", name, err)
		}
		if err := unix.Chmod(at, 0o666); err != nil {
			return err
		}
	}
	for name, mode := range map[string]uint32{"shm": 0o1777, "pts": 0o755, "mqueue": 0o1777} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
		if err := unix.Chmod(filepath.Join(dir, name), mode); err != nil {
			return err
		}
	}
	for name, target := range deviceLinks() {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// deviceLinks are the links of /dev that lead elsewhere.
func deviceLinks() map[string]string {
	return map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	}
}

// descriptorsShown is how many names /proc/self/fd has, whether they are open or not.
const descriptorsShown = 64

// buildProc makes a directory that has the names of /proc that a command may see. Their files are empty: the
// supervisor opens those of the machine instead.
func buildProc(dir string) error {
	for _, name := range supervisor.ProcNames() {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, nil, 0o444); err != nil {
			return err
		}
	}
	fd := filepath.Join(dir, "self", "fd")
	if err := os.Mkdir(fd, 0o755); err != nil {
		return err
	}
	for n := range descriptorsShown {
		if err := os.WriteFile(filepath.Join(fd, strconv.Itoa(n)), nil, 0o666); err != nil {
			return err
		}
	}
	if err := os.Symlink("self", filepath.Join(dir, "thread-self")); err != nil {
		return err
	}
	return os.Symlink("self/mounts", filepath.Join(dir, "mounts"))
}

// buildSys makes an empty /sys, except for where control groups would be.
func buildSys(dir string) error { return os.MkdirAll(filepath.Join(dir, "fs", "cgroup"), 0o755) }

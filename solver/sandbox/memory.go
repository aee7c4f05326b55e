//go:build linux

package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Memory returns a directory whose files are in memory and never on a disk, until remove is called. It is dir
// with a file system of its own or, where nothing can be mounted, one in /dev/shm. On a machine without either
// it is dir as it is.
func (h *Host) Memory(dir string) (memory string, remove func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	if !h.Mounts() {
		return sharedMemory(dir)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700"); err != nil {
		return "", nil, fmt.Errorf("mounting a directory in memory: %w", err)
	}
	return dir, func() error { return unix.Unmount(dir, unix.MNT_DETACH) }, nil
}

func sharedMemory(otherwise string) (string, func() error, error) {
	const shm = "/dev/shm"
	var st unix.Statfs_t
	if err := unix.Statfs(shm, &st); err == nil && st.Type == unix.TMPFS_MAGIC {
		if dir, err := os.MkdirTemp(shm, "builder-"); err == nil {
			return dir, func() error { return os.RemoveAll(dir) }, nil
		}
	}
	return otherwise, func() error { return nil }, nil
}

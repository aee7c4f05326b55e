//go:build linux

package sandbox

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// switchRoot makes the working directory, which is mounted upon the old root, the root directory of the
// calling thread. buried says that the old root stays below it instead of coming to lie on top.
//
// Docker's seccomp profile has no pivot_root, not even for who has CAP_SYS_ADMIN. There the thread just goes
// up to the mount on top, as switch_root(8) does. Nothing leads back down: who climbs above the new root is on
// top of all mounts again, and a command has no rights over the mount namespace to take it away.
func switchRoot() (buried bool, err error) {
	err = unix.PivotRoot(".", ".")
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		buried, err = true, unix.Chroot(".")
	}
	if err != nil {
		return buried, fmt.Errorf("changing the root directory: %w", err)
	}
	return buried, nil
}

//go:build linux

package sandbox

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confinement keeps a command of the rung chroot to what is below its root directory, with Landlock, see
// landlock(7): a process that is root can leave a changed root directory otherwise.
type confinement struct {
	// ruleset is nil if the kernel has no Landlock.
	ruleset *os.File
	// signals: commands can signal their own step's processes only.
	signals bool
}

// landlockVersion is that of the kernel's Landlock, 0 if it has none.
func landlockVersion() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// accessRights are all rights over files that a version of Landlock knows.
func accessRights(version int) uint64 {
	bits := 13
	for at, added := range map[int]int{2: 1, 3: 1, 5: 1} { // refer, truncate, ioctl on devices
		if version >= at {
			bits += added
		}
	}
	return 1<<bits - 1
}

// newConfinement allows everything beneath root, and nothing else.
func newConfinement(root *os.File) (*confinement, error) {
	version := landlockVersion()
	if version == 0 {
		return &confinement{}, nil
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: accessRights(version)}
	size := unsafe.Sizeof(attr.Handled_access_fs)
	if version >= 6 {
		attr.Scoped, size = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET|unix.LANDLOCK_SCOPE_SIGNAL, unsafe.Offsetof(attr.Quiet_access_fs)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return nil, fmt.Errorf("confining the command: %w", errno)
	}
	c := &confinement{ruleset: os.NewFile(fd, "ruleset"), signals: version >= 6}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: attr.Handled_access_fs, Parent_fd: int32(root.Fd())}
	_, _, errno = unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		c.close()
		return nil, fmt.Errorf("confining the command: %w", errno)
	}
	return c, nil
}

func (c *confinement) close() {
	if c != nil && c.ruleset != nil {
		c.ruleset.Close()
	}
}

// enter appends the calls that confine the child.
func (c *confinement) enter(l *callList) {
	if c.ruleset != nil {
		l.add("confining the command", unix.SYS_LANDLOCK_RESTRICT_SELF, c.ruleset.Fd(), 0)
	}
}

// capabilities are those of caps that a confined command may have. Who can change its root leaves it, and Landlock
// lets it change modes, owners and times outside. Who can make devices uses those of the machine.
func (c *confinement) capabilities(caps capabilities) capabilities {
	if c == nil {
		return caps
	}
	return caps &^ (1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_MKNOD)
}

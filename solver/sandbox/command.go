//go:build linux

package sandbox

import (
	"os"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// command is everything the child needs to become the command, all of it opened or resolved.
type command struct {
	host  *Host
	spec  *Spec
	parts *hostParts
	root  *root
	stdio [3]*os.File
	// group is the control group of the command.
	group *group
	// oldRoot is the root to give up, proc the directory to mount /proc on, dir the working directory.
	oldRoot, proc, dir *os.File
	// buried: the old root is below the new one, see switchRoot.
	buried bool
	// userns is the user namespace of all commands; nil if they stay in this one.
	userns *os.File
	// path is the file to execute, in the new root.
	path string
	// program is the seccomp filter, supervision what answers the calls that it passes on, if any.
	program     []bpf.RawInstruction
	supervision *supervision
	// served is the root directory as the supervisor knows it; it outlives the command.
	served *os.File
	// mark and confinement are for the rung chroot.
	mark        *mark
	confinement *confinement
}

func (c *command) close() {
	for _, f := range []*os.File{c.oldRoot, c.proc, c.dir} {
		if f != nil {
			f.Close()
		}
	}
	if c.parts != nil {
		c.parts.close()
	}
	c.confinement.close()
}

// executing is what the last call of a child does.
const executing = "executing the command"

// calls lists what the child does. The order matters: /proc before the old root is given up, because
// the kernel makes a new one only for who sees one; the user namespace after the last mount; the
// seccomp filter while there is CAP_SYS_ADMIN, so that no_new_privs can stay off and sudo works; the
// parent-death signal after the last change of credentials, which would clear it; the working
// directory last, by descriptor, so that nothing can have moved it.
func (c *command) calls() *callList {
	l := &callList{}
	c.cgroup(l)
	c.mountProc(l)
	if !c.buried {
		l.add("leaving the old root", unix.SYS_FCHDIR, c.oldRoot.Fd())
		l.add("leaving the old root", unix.SYS_UMOUNT2, l.text("."), unix.MNT_DETACH)
	}
	if c.userns != nil {
		l.add("entering the user namespace", unix.SYS_SETNS, c.userns.Fd(), unix.CLONE_NEWUSER)
	}
	l.add("making a session", unix.SYS_SETSID)
	l.try("making a keyring", unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0)
	c.streams(l)
	c.limits(l)
	c.privileges(l)
	c.execute(l)
	return l
}

// streams gives the child its standard streams and nothing else that is open.
func (c *command) streams(l *callList) {
	for i, f := range c.stdio {
		l.add("opening the standard streams", unix.SYS_DUP3, f.Fd(), uintptr(i), 0)
	}
	l.add("closing files", unix.SYS_CLOSE_RANGE, 3, ^uintptr(0)>>32, unix.CLOSE_RANGE_CLOEXEC)
}

// execute makes the child the command.
func (c *command) execute(l *callList) {
	l.add("setting the parent-death signal", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL))
	l.add("setting the umask", unix.SYS_UMASK, 0o022)
	l.add("changing to the working directory", unix.SYS_FCHDIR, c.dir.Fd())
	l.add(executing, unix.SYS_EXECVE, l.text(c.path), l.texts(c.spec.Args), l.texts(c.spec.Env))
}

func (c *command) cgroup(l *callList) {
	for _, procs := range c.group.procs {
		l.add("entering the control group", unix.SYS_WRITE, procs.Fd(), l.text("0"), 1)
	}
}

// mountProc mounts /proc for the pid namespace that the child is the first of, and hides what a command
// must not see or change. Where the machine refuses a new /proc, the one that is there is used.
func (c *command) mountProc(l *callList) {
	const what = "mounting /proc"
	if c.host.Proc {
		l.add(what, unix.SYS_FSOPEN, l.text("proc"), unix.FSOPEN_CLOEXEC).save = true
		l.addSaved(what, unix.SYS_FSCONFIG, 0, unix.FSCONFIG_CMD_CREATE, 0, 0, 0)
		l.addSaved(what, unix.SYS_FSMOUNT, 0, unix.FSMOUNT_CLOEXEC, nosuid|nodev|noexec).save = true
	} else {
		l.add(what, unix.SYS_OPEN_TREE, c.oldRoot.Fd(), l.text("proc"), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE).save = true
	}
	empty := l.text("")
	l.addSaved(what, unix.SYS_MOVE_MOUNT, 0, empty, c.proc.Fd(), empty, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	cwd := ^uintptr(-unix.AT_FDCWD - 1)
	for name, mask := range c.parts.masks {
		l.add("hiding /proc/"+name, unix.SYS_MOVE_MOUNT, mask.Fd(), empty, cwd, l.text("/proc/"+name), unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
	readOnly := &unix.MountAttr{Attr_set: rdonly | nosuid | nodev | noexec}
	l.keep = append(l.keep, readOnly)
	for _, name := range c.parts.readOnly {
		what, path := "protecting /proc/"+name, l.text("/proc/"+name)
		l.add(what, unix.SYS_OPEN_TREE, cwd, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE).save = true
		l.addSaved(what, unix.SYS_MOUNT_SETATTR, 0, empty, unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, uintptr(unsafe.Pointer(readOnly)), unsafe.Sizeof(*readOnly))
		l.addSaved(what, unix.SYS_MOVE_MOUNT, 0, empty, cwd, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
}

func (c *command) limits(l *callList) {
	for _, r := range c.spec.Limits.starting(c.host) {
		value := &unix.Rlimit{Cur: r.Soft, Max: r.Hard}
		l.keep = append(l.keep, value)
		l.add("setting a resource limit", unix.SYS_PRLIMIT64, 0, uintptr(r.Resource), uintptr(unsafe.Pointer(value)), 0)
	}
}

// privileges takes on the identity of the command's user and gives up all rights but Docker's.
func (c *command) privileges(l *callList) {
	caps := defaultCapabilities
	if c.spec.Insecure {
		caps = allCapabilities
	}
	caps = c.confinement.capabilities(caps) & permittedCapabilities()
	for n := 0; n <= unix.CAP_LAST_CAP; n++ {
		if !caps.has(n) {
			l.try("dropping capabilities", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(n))
		}
	}
	if !c.spec.Insecure {
		c.filter(l)
	}
	u := c.spec.User
	if c.host.Rung != RungSingle { // there the supervisor keeps who it is
		l.add("setting the groups", unix.SYS_SETGROUPS, uintptr(len(u.Groups)), l.ids(u.Groups))
		l.add("setting the group", unix.SYS_SETRESGID, uintptr(u.GID), uintptr(u.GID), uintptr(u.GID))
		l.add("setting the user", unix.SYS_SETRESUID, uintptr(u.UID), uintptr(u.UID), uintptr(u.UID))
	}
	l.add("setting capabilities", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
	if u.UID != 0 && c.host.Rung != RungSingle {
		caps = 0 // the bounding set stays, for programs with the setuid bit
	}
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{
		{Effective: uint32(caps), Permitted: uint32(caps)},
		{Effective: uint32(caps >> 32), Permitted: uint32(caps >> 32)},
	}
	l.keep = append(l.keep, header, data)
	l.add("setting capabilities", unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)))
}

func (c *command) filter(l *callList) {
	prog := &unix.SockFprog{
		Len:    uint16(len(c.program)),
		Filter: (*unix.SockFilter)(unsafe.Pointer(&c.program[0])), // the same struct under another name
	}
	l.keep = append(l.keep, prog)
	if c.supervision != nil {
		c.supervision.install(l, uintptr(unsafe.Pointer(prog)))
		return
	}
	l.add("installing the seccomp filter", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(prog)))
}

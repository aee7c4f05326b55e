//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/solver/sandbox/supervisor"
)

// The rung chroot works where a process is root but may neither make namespaces nor mount: a container with
// Docker's default capabilities and seccomp filter. What namespaces and mounts do elsewhere is done thus:
//
//   - the root directory is changed with chroot(2), and the capability to do so again is dropped; Landlock,
//     where the kernel has it, keeps a command that has got out from using files there, and from signalling or
//     tracing what is not of its step; else the supervisor checks whom signals go to;
//   - /dev and /proc are put in place of the image's own, and what is mounted too; all is taken back when
//     the command has ended (see placement);
//   - files of /proc and secrets are opened by the supervisor, which also refuses to change what is mounted to be read;
//   - all processes of a step carry a mark and are killed at its end, when they cannot make others (see mark);
//   - programs with the setuid bit do not change who runs them: a filter without privileges over a user
//     namespace needs no_new_privs.

// enterChroot makes this process one on the rung chroot, or says why that cannot be.
func (h *Host) enterChroot() error {
	if os.Geteuid() != 0 {
		return errors.New("it is for root")
	}
	if err := canListen(); err != nil {
		return err
	}
	for _, p := range []Probe{probeChroot(), probeDevices()} {
		if !p.OK {
			return fmt.Errorf("%s: %s", p.Name, p.Found)
		}
	}
	uids, err := readIDMap("/proc/self/uid_map")
	if err != nil {
		return err
	}
	gids, err := readIDMap("/proc/self/gid_map")
	if err != nil {
		return err
	}
	h.UIDs, h.GIDs = identity(uids), identity(gids)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	h.private = func() privateNetwork {
		return privateNetwork{why: "the network of a command cannot be separated on the rung chroot"}
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// runChroot runs the command of s in a directory that becomes its root.
func (h *Host) runChroot(ctx context.Context, s *Spec, stdio [3]*os.File) error {
	group, err := h.makeGroup(&s.Limits) //nolint:contextcheck // what it joins must not stop half-way
	if err != nil {
		return err
	}
	defer group.remove()
	c := &command{host: h, spec: s, group: group, stdio: stdio}
	if c.root, err = newRoot(s.Root); err != nil {
		return err
	}
	p, err := newPlacement(c.root)
	if err != nil {
		return err
	}
	err = c.runPlaced(ctx, p)
	if undoing := p.undo(); err == nil {
		err = undoing
	}
	if left := c.root.removeStubs(); err == nil {
		err = left
	}
	return group.explain(err)
}

// runPlaced puts everything in its place and runs the command.
func (c *command) runPlaced(ctx context.Context, p *placement) (err error) {
	defer c.close()
	if err := p.furnish(c.spec); err != nil {
		return err
	}
	if c.dir, err = c.root.workDir(c.spec.Dir); err != nil {
		return &StartError{What: "changing to the working directory", Err: err}
	}
	if c.path, err = c.root.program(c.spec.Args[0], c.spec.Env, c.spec.Dir); err != nil {
		return &StartError{What: "starting the command", Err: err}
	}
	if c.confinement, err = newConfinement(c.spec.Root); err != nil {
		return err
	}
	c.mark = newMark()
	rootPath, err := pathOf(c.spec.Root)
	if err != nil {
		return err
	}
	s := supervisor.Files(supervisor.Surroundings{Root: c.spec.Root, RootPath: rootPath}, supervisor.FilesOptions{
		Memory: p.secrets, Mounts: p.mounts, Protect: p.protect, Ours: c.mark.carriedBy,
		Unconfined: !c.confinement.signals, NoNetwork: c.spec.Network == NetworkNone,
	})
	if c.program, err = c.host.filters.get(s); err != nil {
		return err
	}
	if c.supervision, err = supervise(s); err != nil {
		return err
	}
	defer c.endAll()
	return c.start(ctx, 0)
}

// endAll ends what the command has left. The kernel tells the supervisor when the last process is gone.
func (c *command) endAll() {
	c.supervision.supervisor.End()
	c.supervision.theirs.Close()
	c.mark.killAll(c.supervision.served)
	c.supervision.ours.Close()
}

// chrootCalls lists what the child does on the rung chroot.
func (c *command) chrootCalls() *callList {
	l := &callList{}
	c.cgroup(l)
	l.add("changing to the root directory", unix.SYS_FCHDIR, c.spec.Root.Fd())
	l.add("changing the root directory", unix.SYS_CHROOT, l.text("."))
	l.add("making a session", unix.SYS_SETSID)
	c.streams(l)
	c.limits(l)
	value := &unix.Rlimit{Cur: uint64(*c.mark), Max: uint64(*c.mark)}
	l.keep = append(l.keep, value)
	l.add("marking the command", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_RTTIME, uintptr(unsafe.Pointer(value)), 0)
	l.add("giving up new privileges", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1)
	c.confinement.enter(l)
	c.privileges(l)
	c.execute(l)
	return l
}

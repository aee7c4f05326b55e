//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/solver/sandbox/supervisor"
)

// grace is how long a command may take to end after it was asked to.
const grace = 2 * time.Second

// Run runs a command in a sandbox of its own and waits for it and all that it started. It returns an
// *ExitError if the command did not succeed and a *StartError if it could not be started. When ctx is
// canceled the command is ended and the cause of ctx returned.
func (h *Host) Run(ctx context.Context, s Spec) error {
	if err := h.CanRun(); err != nil {
		return err
	}
	var output errgroup.Group
	stdout, err := pipeTo(&output, s.Stdout)
	if err != nil {
		return err
	}
	stderr, err := pipeTo(&output, s.Stderr)
	if err != nil {
		stdout.Close()
		return err
	}
	err = h.runWith(ctx, &s, stdout, stderr)
	stdout.Close()
	stderr.Close()
	if writing := output.Wait(); err == nil {
		err = writing
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// pipeTo returns a file whose content goes to w.
func pipeTo(g *errgroup.Group, w io.Writer) (*os.File, error) {
	r, file, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	g.Go(func() error {
		defer r.Close()
		_, err := io.Copy(w, r)
		return err
	})
	return file, nil
}

// runWith runs the command as this rung does.
func (h *Host) runWith(ctx context.Context, s *Spec, stdout, stderr *os.File) error {
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer stdin.Close()
	for _, f := range []*os.File{stdout, stderr} {
		_ = f.Chown(int(s.User.UID), -1) // so that the command can open /dev/stdout, if its user exists here
	}
	stdio := [3]*os.File{stdin, stdout, stderr}
	if h.Rung == RungChroot {
		return h.runChroot(ctx, s, stdio)
	}
	return h.runOnThread(ctx, s, stdio)
}

// runOnThread runs the command from a thread of its own. That gives up its mount namespace and more, so
// it is not used for anything else and ends here.
func (h *Host) runOnThread(ctx context.Context, s *Spec, stdio [3]*os.File) error {
	// What is shared is made on ordinary threads.
	userns, err := h.userns()
	if err != nil {
		return err
	}
	group, err := h.makeGroup(&s.Limits) //nolint:contextcheck // what it joins must not stop half-way
	if err != nil {
		return err
	}
	defer group.remove()
	if s.Network == NetworkPrivate {
		h.private()
	}
	c := &command{host: h, spec: s, group: group, userns: userns, stdio: stdio}
	// Not that of /proc/self, whose first thread may be running another command.
	outside, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	defer outside.Close()
	if c.root, err = newRoot(s.Root); err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := c.run(ctx)
		// With the last one that was in it the mount namespace ends, and what was mounted upon is free.
		if leaving := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNS); err == nil && leaving != nil {
			err = fmt.Errorf("leaving the sandbox: %w", leaving)
		}
		if left := c.root.removeStubs(); err == nil {
			err = left
		}
		result <- err
	}()
	err = group.explain(<-result)
	if err == nil {
		err = c.tellOwners(ctx)
	}
	if c.served != nil {
		c.served.Close()
	}
	return err
}

// run gives the calling thread the surroundings of the command, starts it from there and waits.
func (c *command) run(ctx context.Context) error {
	defer c.close()
	var err error
	if c.parts, err = take(c.spec); err != nil {
		return err
	}
	c.root.dir = c.parts.root // a plain directory is mounted nowhere but there
	if c.oldRoot, c.buried, err = c.host.enterRoot(c.spec, c.parts.root); err != nil {
		return err
	}
	if err := c.furnish(); err != nil {
		return err
	}
	if err := c.watch(); err != nil {
		return err
	}
	if c.supervision != nil {
		defer c.supervision.end()
	}
	return c.start(ctx, unix.CLONE_NEWPID)
}

// tellOwners tells whose the links are that the command has left.
func (c *command) tellOwners(ctx context.Context) error {
	if c.supervision == nil || c.spec.Owners == nil || !c.supervision.supervisor.Recorded() {
		return nil
	}
	return c.spec.Owners(ctx, c.supervision.supervisor.Owner)
}

// start starts the command and waits for it.
func (c *command) start(ctx context.Context, flags uintptr) error {
	pid, pidfd, err := c.fork(flags)
	if err != nil {
		return startFailure(err)
	}
	defer pidfd.Close()
	return wait(ctx, pid, pidfd)
}

func (c *command) fork(flags uintptr) (pid int, pidfd *os.File, err error) {
	switch {
	case c.host.Rung == RungChroot:
		return forkCopy(flags, c.chrootCalls())
	case c.supervision != nil:
		return forkCopy(flags, c.calls())
	}
	return fork(sharing|flags, c.calls())
}

// watch finds the command's filter, and has its calls served where that is needed.
func (c *command) watch() (err error) {
	if c.host.Rung != RungSingle {
		c.program, err = c.host.filters.get(nil)
		return err
	}
	// Not that of the spec, which may be a directory that nothing is mounted in.
	if c.served, err = takeRoot(c.parts.root); err != nil {
		return err
	}
	s := supervisor.Owners(
		supervisor.Surroundings{Root: c.served, ProcDir: c.host.procDir},
		supervisor.User{UID: c.spec.User.UID, GID: c.spec.User.GID, Groups: c.spec.User.Groups},
	)
	if c.program, err = c.host.filters.get(s); err != nil {
		return err
	}
	c.supervision, err = supervise(s)
	return err
}

// startFailure tells a command that cannot be executed from a sandbox that cannot be made.
func startFailure(err error) error {
	var failed *callError
	if errors.As(err, &failed) && failed.what == executing {
		return &StartError{What: "exec", Err: failed.err}
	}
	return err
}

// enterRoot moves the calling thread into namespaces of its own and makes root, a mount that is attached
// nowhere, its root directory. The old root is still mounted then, on top of the new one or buried below it;
// it is returned.
func (h *Host) enterRoot(s *Spec, root *os.File) (old *os.File, buried bool, err error) {
	if err := h.enterNetwork(s.Network); err != nil {
		return nil, false, err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP); err != nil {
		return nil, false, fmt.Errorf("making namespaces: %w", err)
	}
	if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
		return nil, false, fmt.Errorf("setting the host name to %q: %w", s.Hostname, err)
	}
	old, err = os.OpenFile("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			old.Close()
		}
	}()
	if err := attach(root, old); err != nil {
		return nil, false, err
	}
	if err := unix.Fchdir(int(root.Fd())); err != nil {
		return nil, false, err
	}
	buried, err = switchRoot()
	return old, buried, err
}

// furnish mounts everything in the new root but /proc, which only a process of the new pid namespace
// can, and finds the program and the working directory.
func (c *command) furnish() (err error) {
	r := c.root
	if err := r.dev(c.parts, c.spec.Limits); err != nil {
		return err
	}
	if err := r.sys(); err != nil {
		return err
	}
	if c.proc, err = r.directory("proc"); err != nil {
		return err
	}
	if err := r.place(c.spec.Mounts, c.parts.mounts); err != nil {
		return err
	}
	if c.dir, err = r.workDir(c.spec.Dir); err != nil {
		return &StartError{What: "changing to the working directory", Err: err}
	}
	if c.path, err = r.program(c.spec.Args[0], c.spec.Env, c.spec.Dir); err != nil {
		return &StartError{What: "starting the command", Err: err}
	}
	return nil
}

// wait waits for the command, ending it when ctx is canceled.
func wait(ctx context.Context, pid int, pidfd *os.File) error {
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		_ = unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGTERM, nil, 0)
		select {
		case <-done:
		case <-time.After(grace):
			_ = unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGKILL, nil, 0)
		}
	}()
	status, err := reap(pid)
	switch {
	case err != nil:
		return fmt.Errorf("waiting for the command: %w", err)
	case status.Signaled():
		return &ExitError{Signal: int(status.Signal())}
	case status.ExitStatus() != 0:
		return &ExitError{Code: status.ExitStatus()}
	}
	return nil
}

//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// marker is the environment variable that tells a process that it is L1: the number of its control socket.
const marker = "_BUILDER_CONTROL"

// Host is what this machine allows. Enter found it out; nobody asks the machine again.
type Host struct {
	Rung Rung `json:"rung"`
	// Refusals say why the better rungs cannot be had.
	Refusals []Refusal `json:"refusals"`
	// UIDs and GIDs are the ids that exist here.
	UIDs []Extent `json:"uids"`
	GIDs []Extent `json:"gids"`
	// Proc: a new /proc can be mounted. If not, commands see the one that is there.
	Proc bool `json:"proc"`
	// Files is the limit of open files that the user has set; the Go runtime raises that of this process.
	Files Rlimit `json:"files"`

	// Told is what was given to Enter in L0.
	Told []byte `json:"told,omitempty"`

	// outside is the way to L0; nil if there is none.
	outside *outside
	// groups are the control groups that commands can be put into.
	groups cgroupTree
	// What commands share is made when the first needs it.
	userns  func() (*os.File, error)
	filters filters
	private func() privateNetwork
}

// Inside reports whether this process is L1 and has yet to enter.
func Inside() bool { return os.Getenv(marker) != "" }

// Enter finds the best rung that the machine allows, no better than best, and makes this process one
// where all else can be done by plain root code.
//
// On the rungs with namespaces it starts the program again inside them and does not return in the
// process that the user started, L0: that one maps ids, passes signals on, waits, and exits like the
// new one, L1. There, as on the rungs without namespaces, Enter returns. It must be called from the main
// goroutine, early: what happened before happens twice, so L1 may be told what came out of it.
func Enter(best Rung, told []byte) (*Host, error) {
	if fd := os.Getenv(marker); fd != "" {
		return enterInside(fd)
	}
	runtime.LockOSThread() // L1 dies with the thread that started it
	var refusals []Refusal
	for _, rung := range Rungs() {
		if rungIndex(rung) < rungIndex(best) {
			continue
		}
		h := &Host{Rung: rung, Refusals: refusals, Files: fileLimit(), Told: told}
		err := h.try()
		if err == nil {
			runtime.UnlockOSThread()
			return h, nil
		}
		refusals = append(refusals, refusal(rung, err))
	}
	return nil, errors.New("no sandbox")
}

// CanRun returns a *RungError if no command can be run.
func (h *Host) CanRun() error {
	if h.Rung == RungNone {
		return &RungError{h.Refusals}
	}
	return nil
}

// Mounts reports whether this process can mount file systems.
func (h *Host) Mounts() bool { return h.Rung == RungUserns || h.Rung == RungSingle }

// fileLimit asks the process that started this one.
func fileLimit() Rlimit {
	var limit unix.Rlimit
	if err := unix.Prlimit(os.Getppid(), unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return Rlimit{}
	}
	return Rlimit{Resource: unix.RLIMIT_NOFILE, Soft: limit.Cur, Hard: limit.Max}
}

func rungIndex(r Rung) int {
	for i, other := range Rungs() {
		if r == other {
			return i
		}
	}
	return -1
}

// try makes this process one on h's rung, or says why that cannot be.
func (h *Host) try() error {
	switch h.Rung {
	case RungUserns, RungSingle:
		m, err := h.idMap()
		if err != nil {
			return err
		}
		h.UIDs, h.GIDs = m.UIDs, m.GIDs
		return h.reexec(m)
	case RungChroot:
		return h.enterChroot()
	case RungNone:
		return nil
	}
	return nil
}

// idMap is the map that this user may give to a namespace on h's rung.
func (h *Host) idMap() (idMap, error) {
	uid, gid := os.Getuid(), os.Getgid()
	if h.Rung == RungSingle {
		return idMap{
			UIDs: []Extent{{0, uint32(uid), 1}},
			GIDs: []Extent{{0, uint32(gid), 1}},
		}, nil
	}
	if hasCapability(unix.CAP_SETUID) && hasCapability(unix.CAP_SETGID) {
		uids, err := readIDMap("/proc/self/uid_map")
		if err != nil {
			return idMap{}, err
		}
		gids, err := readIDMap("/proc/self/gid_map")
		return idMap{UIDs: identity(uids), GIDs: identity(gids)}, err
	}
	return subordinateMap(currentUser(), uid, gid)
}

// hasCapability reports whether this process has an effective capability.
func hasCapability(n int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[n/32].Effective&(1<<(n%32)) != 0
}

// reexec starts L1 with the map m and, once it has entered, never returns.
func (h *Host) reexec(m idMap) error {
	ours, theirs, err := controlSockets()
	if err != nil {
		return err
	}
	defer ours.Close()
	defer theirs.Close()
	exe, err := executable()
	if err != nil {
		return err
	}
	defer exe.Close()

	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", exe.Fd()), os.Args[1:]...) //nolint:noctx // it lives as long as we do
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), marker+"=3")
	cmd.ExtraFiles = []*os.File{theirs.File}
	// A program that is executed before its ids are mapped loses its capabilities, unless they are
	// ambient.
	cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		AmbientCaps: ambientCapabilities(),
		Pdeathsig:   unix.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("creating a user namespace: %w", cause(err))
	}
	theirs.Close()
	if err := h.admit(cmd, ours, m); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	os.Exit(attend(cmd, ours))
	return nil
}

// cause is what is behind an error about a path that says nothing.
func cause(err error) error {
	if about, ok := errors.AsType[*os.PathError](err); ok {
		return about.Err
	}
	return err
}

// admit maps the ids of L1, tells it what it is, and waits until it has entered.
func (h *Host) admit(cmd *exec.Cmd, l1 control, m idMap) error {
	if err := m.write(cmd.Process.Pid); err != nil {
		return fmt.Errorf("mapping ids: %w", err)
	}
	if err := l1.send(message{Host: h}); err != nil {
		return err
	}
	answer, _, err := l1.receive()
	if err != nil {
		return fmt.Errorf("starting in a user namespace: %w", err)
	}
	if !answer.Entered {
		return errors.New(answer.Refused)
	}
	return nil
}

// attend passes signals on to L1, does what L1 cannot do inside, and returns the status to exit with when L1
// has ended.
func attend(cmd *exec.Cmd, l1 control) int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its status says it all
		close(done)
	}()
	a := &attendant{control: l1, running: map[int]context.CancelFunc{}}
	go a.serve()
	for received := 0; ; {
		select {
		case s := <-signals:
			received++
			if received > 1 {
				_ = cmd.Process.Kill()
				continue
			}
			if err := passSignal(l1, s); err != nil {
				_ = cmd.Process.Kill()
			}
		case <-done:
			return exitStatus(cmd.ProcessState)
		}
	}
}

// passSignal tells L1 of a signal.
func passSignal(l1 control, s os.Signal) error {
	n, ok := s.(unix.Signal)
	if !ok {
		return fmt.Errorf("%v is no signal of this system", s)
	}
	return l1.send(message{Signal: int(n)})
}

func exitStatus(s *os.ProcessState) int {
	if ws, ok := s.Sys().(unix.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

// ambientCapabilities lists all capabilities that the kernel has.
func ambientCapabilities() []uintptr {
	var caps []uintptr
	for n := uintptr(0); n <= unix.CAP_LAST_CAP; n++ {
		if r, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, n, 0, 0, 0); err == nil && r >= 0 {
			caps = append(caps, n)
		}
	}
	return caps
}

// executable returns the program that L1 is to run. A program file that the user can write must not be
// what a sandbox could get hold of (CVE-2019-5736), so a sealed copy in memory is used instead.
func executable() (*os.File, error) {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	if unix.Access("/proc/self/exe", unix.W_OK) != nil {
		return exe, nil
	}
	defer exe.Close()
	fd, err := unix.MemfdCreate("builder", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|mfdExec)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("builder", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("copying the program: %w", err)
	}
	sealed := os.NewFile(uintptr(fd), "builder")
	if _, err := sealed.ReadFrom(exe); err != nil {
		return nil, fmt.Errorf("copying the program: %w", err)
	}
	seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(sealed.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("sealing the program: %w", err)
	}
	return sealed, nil
}

// mfdExec is MFD_EXEC: the file may be executed whatever vm.memfd_noexec says.
const mfdExec = 0x10

// enterInside makes this process, which is L1 and has its control socket at fd, ready.
func enterInside(fd string) (*Host, error) {
	n, err := strconv.Atoi(fd)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", marker, fd, err)
	}
	unix.CloseOnExec(n)
	l0 := control{os.NewFile(uintptr(n), "control")}
	if err := os.Unsetenv(marker); err != nil {
		return nil, err
	}
	first, _, err := l0.receive()
	if err != nil {
		return nil, fmt.Errorf("entering: %w", err)
	}
	h := first.Host
	h.outside = newOutside(l0)
	h.userns = sync.OnceValues(h.makeUserns)
	h.private = sync.OnceValue(h.makeNetwork)
	if err := h.prepare(); err != nil {
		_ = l0.send(message{Refused: err.Error()})
		os.Exit(1)
	}
	go h.outside.listen()
	return h, l0.send(message{Entered: true})
}

// prepare makes the namespaces private and useful.
func (h *Host) prepare() error {
	// Dies with L0, whatever happens to it; the pid namespace and all in it die with this process.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	// Nobody may look into the memory, environment or descriptors of this process.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	// Signals come over the control socket: a terminal would send them to both of us.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	h.Proc = err == nil
	return nil
}

// NotifyContext returns a context that is canceled when the user asks for an end. Its cause is a *SignalError.
func (h *Host) NotifyContext(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	if h.outside == nil {
		signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	} else {
		signals = h.outside.signals
	}
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals) // the second one ends the process at once
			cancel(&SignalError{s})
		case <-ctx.Done():
			signal.Stop(signals)
		}
	}()
	return ctx, func() { cancel(nil) }
}

// SignalError is the cause of a context that a signal canceled.
type SignalError struct {
	os.Signal
}

func (s *SignalError) Error() string { return "interrupted by " + s.String() }

// Status is the status to exit with.
func (s *SignalError) Status() int {
	if n, ok := s.Signal.(unix.Signal); ok {
		return 128 + int(n)
	}
	return 1
}

//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Program is a program of the machine, such as docker or a credential helper, that must run as the user and
// not in a namespace.
type Program struct {
	// Args is the command; its first word is looked up in $PATH.
	Args []string
	// Env is added to the environment, as NAME=value.
	Env   []string
	Stdin io.Reader
	// Stdout and Stderr may be the same, and are to be of a type that can be compared.
	Stdout, Stderr io.Writer
}

// Outside runs a program as the user who started this one would, and waits for it. Its errors are those of
// exec.Cmd's Run, except that a program that does not succeed gives an *ExitError.
func (h *Host) Outside(ctx context.Context, p Program) error {
	if h.outside == nil {
		return p.run(ctx)
	}
	stdin, feeding, err := pipeFrom(p.Stdin)
	if err != nil {
		return err
	}
	var output errgroup.Group
	stdout, err := pipeTo(&output, writer(p.Stdout))
	if err != nil {
		stdin.Close()
		return err
	}
	stderr := stdout
	if p.Stderr != p.Stdout { // as with exec.Cmd, one writer for both is never called from two goroutines
		if stderr, err = pipeTo(&output, writer(p.Stderr)); err != nil {
			stdin.Close()
			stdout.Close()
			return err
		}
	}
	err = h.outside.run(ctx, outsideProgram{Args: p.Args, Env: p.Env}, stdin, stdout, stderr)
	for _, f := range []*os.File{stdin, stdout, stderr} {
		f.Close() // one that is there twice is closed already
	}
	feeding.Close()
	if writing := output.Wait(); err == nil {
		err = writing
	}
	return err
}

func writer(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// pipeFrom returns a file that gives what is in r. It is written as long as stop is not closed.
func pipeFrom(r io.Reader) (file *os.File, stop io.Closer, err error) {
	if r == nil {
		file, err = os.Open(os.DevNull)
		return file, file, err
	}
	file, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	go func() {
		_, _ = io.Copy(w, r) // ends with what r ends with, or when nobody reads any more
		w.Close()
	}()
	return file, w, nil
}

// run runs the program from this process.
func (p *Program) run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, p.Args[0], p.Args[1:]...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, p.Stdout, p.Stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exitErrorOf(exitStatus(exit.ProcessState))
	}
	return err
}

func exitErrorOf(status int) error {
	switch {
	case status == 0:
		return nil
	case status > 128:
		return &ExitError{Signal: status - 128}
	}
	return &ExitError{Code: status}
}

// outsideProgram is a program that L0 is to run.
type outsideProgram struct {
	ID   int      `json:"id"`
	Args []string `json:"args"`
	Env  []string `json:"env,omitempty"`
	// Join, if not empty, is the cgroup.procs of a control group that L0 is to move into instead.
	Join string `json:"join,omitempty"`
}

// outsideStatus says that the program with a number has ended, or why it was never begun.
type outsideStatus struct {
	ID     int    `json:"id"`
	Status int    `json:"status,omitempty"`
	Err    string `json:"err,omitempty"`
}

// outside is what L1 knows of L0.
type outside struct {
	control
	// signals are those that L0 has received.
	signals chan os.Signal

	mu      sync.Mutex
	last    int
	running map[int]chan outsideStatus
}

func newOutside(c control) *outside {
	return &outside{control: c, signals: make(chan os.Signal, 4), running: map[int]chan outsideStatus{}}
}

// listen receives what L0 says, as long as this process lives.
func (o *outside) listen() {
	for {
		m, _, err := o.receive()
		if err != nil {
			return // L0 is gone, and this process with it
		}
		switch {
		case m.Signal != 0:
			o.signals <- unix.Signal(m.Signal)
		case m.Ended != nil:
			o.mu.Lock()
			o.running[m.Ended.ID] <- *m.Ended
			delete(o.running, m.Ended.ID)
			o.mu.Unlock()
		}
	}
}

// run has L0 run a program and waits for it.
func (o *outside) run(ctx context.Context, p outsideProgram, stdio ...*os.File) error {
	ended := make(chan outsideStatus, 1)
	o.mu.Lock()
	o.last++
	p.ID = o.last
	o.running[p.ID] = ended
	o.mu.Unlock()
	if err := o.send(message{Start: &p}, stdio...); err != nil {
		return fmt.Errorf("asking the process outside: %w", err)
	}
	canceled := ctx.Done()
	for {
		select {
		case <-canceled:
			canceled = nil
			if err := o.send(message{Stop: p.ID}); err != nil {
				return err
			}
		case s := <-ended:
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case s.Err != "":
				return errors.New(s.Err)
			}
			return exitErrorOf(s.Status)
		}
	}
}

// join moves L0 into a control group.
func (o *outside) join(procs string) error {
	return o.run(context.Background(), outsideProgram{Join: procs}) //nolint:forbidigo // it ends at once
}

// attendant is L0 once L1 has entered: it passes signals on and runs the programs that must run outside.
type attendant struct {
	control
	mu      sync.Mutex
	running map[int]context.CancelFunc
}

// serve does what L1 asks for, as long as L1 lives.
func (a *attendant) serve() {
	for {
		m, files, err := a.receive()
		if err != nil {
			return
		}
		switch {
		case m.Start != nil && len(files) == 3:
			ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // L0 has no other
			a.mu.Lock()
			a.running[m.Start.ID] = cancel
			a.mu.Unlock()
			go a.start(ctx, m.Start, files)
		case m.Start != nil && m.Start.Join != "":
			status := outsideStatus{ID: m.Start.ID}
			if err := os.WriteFile(m.Start.Join, []byte("0"), 0); err != nil {
				status.Err = err.Error()
			}
			_ = a.send(message{Ended: &status}) // L1 may be gone
		case m.Stop != 0:
			a.stop(m.Stop)
		}
	}
}

func (a *attendant) stop(id int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cancel := a.running[id]; cancel != nil {
		cancel()
	}
}

// start runs a program and tells L1 how it ended.
func (a *attendant) start(ctx context.Context, p *outsideProgram, stdio []*os.File) {
	program := Program{Args: p.Args, Env: p.Env, Stdin: stdio[0], Stdout: stdio[1], Stderr: stdio[2]}
	status := outsideStatus{ID: p.ID}
	err := program.run(ctx)
	for _, f := range stdio {
		f.Close()
	}
	a.stop(p.ID)
	var exit *ExitError
	switch {
	case errors.As(err, &exit) && exit.Signal != 0:
		status.Status = 128 + exit.Signal
	case errors.As(err, &exit):
		status.Status = exit.Code
	case err != nil:
		status.Err = err.Error()
	}
	a.mu.Lock()
	delete(a.running, p.ID)
	a.mu.Unlock()
	_ = a.send(message{Ended: &status}) // L1 may be gone
}

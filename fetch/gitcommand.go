//go:build linux

package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/httpclient"
)

// command is a run of git.
type command struct {
	gitDir string
	// workTree and index, if not empty, are where files are checked out to and where that is noted.
	workTree, index string
	env             environment
	args            []string
	// stdout takes what git writes; nil throws it away.
	stdout io.Writer
	// progress, if not nil, is told how many bytes have come.
	progress func(current int64)
}

// maxOutput is how much output of git is kept, in bytes.
const maxOutput = 16 << 20

// run runs git to its end. When ctx ends, git and all that it has started do too.
func (g *Git) run(ctx context.Context, c command) error {
	program, err := g.find(ctx)
	if err != nil {
		return err
	}
	most := cmp.Or(g.Timeout, defaultGitTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, most, httpclient.Refusef("git %s took longer than %s", c.args[0], most))
	defer cancel()
	return g.runProgram(ctx, program, c)
}

func (g *Git) runProgram(ctx context.Context, program string, c command) error {
	const patience = 5 * time.Second
	messages := &messages{secrets: c.env.secrets, progress: c.progress}
	cmd := exec.CommandContext(ctx, program, c.args...)
	cmd.Dir = cmp.Or(c.workTree, "/")
	cmd.Env = append(g.baseEnv(), c.env.list()...)
	for _, v := range []struct{ name, value string }{
		{"GIT_DIR=", c.gitDir}, {"GIT_WORK_TREE=", c.workTree}, {"GIT_INDEX_FILE=", c.index},
	} {
		if v.value != "" {
			cmd.Env = append(cmd.Env, v.name+v.value)
		}
	}
	cmd.Stdout, cmd.Stderr = c.stdout, messages
	// A session of its own has no terminal to ask on, and can be ended as a whole.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGTERM) }
	cmd.WaitDelay = patience
	err := g.wait(cmd)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	return &gitError{verb: c.args[0], text: messages.text(), err: err}
}

// wait starts cmd and waits for its end.
func (g *Git) wait(cmd *exec.Cmd) error {
	// The signal of the parent's death is sent when the thread that started the child ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	most := uint64(cmp.Or(g.MaxSize, defaultGitMaxSize))
	_ = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: most}, nil)
	err := cmd.Wait()
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // what it has left behind
	return err
}

// find returns the path of git, after looking whether it is there and new enough.
func (g *Git) find(ctx context.Context) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.program != "" {
		return g.program, nil
	}
	path, err := g.look(ctx)
	if err == nil {
		g.program = path
	}
	return path, err
}

func (g *Git) look(ctx context.Context) (string, error) {
	path, err := exec.LookPath(cmp.Or(g.Program, "git"))
	if err != nil {
		return "", fmt.Errorf("git repositories need the program git: install it "+
			"(apt-get install git, apk add git, dnf install git): %w", err)
	}
	out := &capped{left: maxOutput}
	if err := g.runProgram(ctx, path, command{args: []string{"version"}, stdout: out, env: localEnv()}); err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", path, err)
	}
	var major, minor int
	version := strings.TrimSpace(string(out.b))
	if _, err := fmt.Sscanf(version, "git version %d.%d", &major, &minor); err != nil {
		return "", fmt.Errorf("asking %s for its version: it says %q", path, version)
	}
	// Since 2.31 the configuration can be given in the environment.
	if major < 2 || major == 2 && minor < 31 {
		return "", fmt.Errorf("%s is too old: want git 2.31 or later", version)
	}
	return path, nil
}

// capped keeps what is written to it up to a limit.
type capped struct {
	b    []byte
	left int
}

var errTooMuch = errors.New("too much output")

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		return 0, errTooMuch
	}
	c.b = append(c.b, p...)
	return len(p), nil
}

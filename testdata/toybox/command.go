package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
)

// openFile opens a file that a script redirects to or from. The umask says who may read what is made.
func openFile(ctx context.Context, path string, flag int, _ os.FileMode) (io.ReadWriteCloser, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(interp.HandlerCtx(ctx).Dir, path)
	}
	return os.OpenFile(path, flag, 0o666)
}

// call is asked before each command and may put another one in its place. It does what the interpreter
// lacks: umask, ulimit, wait for a process, and kill, which is no builtin here.
func (j *jobs) call(ctx context.Context, args []string) ([]string, error) {
	h := interp.HandlerCtx(ctx)
	var err error
	switch args[0] {
	case "umask":
		err = umask(h.Stdout, args[1:])
	case "ulimit":
		err = ulimit(h.Stdout, args[1:])
	case "wait":
		if len(args) == 1 {
			return args, nil
		}
		return j.wait(h.Stderr, args[1:]), nil
	case "kill":
		return append([]string{"__job_command"}, args...), nil
	default:
		return args, nil
	}
	if err != nil {
		fmt.Fprintf(h.Stderr, "sh: %s: %v\n", args[0], err)
		return []string{"false"}, nil
	}
	return []string{"true"}, nil
}

// wait waits for processes and returns a command that has the status of the last.
func (j *jobs) wait(stderr io.Writer, pids []string) []string {
	status := 0
	for _, pid := range pids {
		job, err := j.find(pid)
		if err != nil {
			fmt.Fprintf(stderr, "sh: wait: %v\n", err)
			status = 127
			continue
		}
		<-job.ended
		status = job.status
	}
	return []string{"__job_status", strconv.Itoa(status)}
}

// exec runs a command that is not part of the language: a process, or what jobs need.
func (j *jobs) exec(ctx context.Context, args []string) error {
	h := interp.HandlerCtx(ctx)
	switch args[0] {
	case "__job_new":
		fmt.Fprint(h.Stdout, j.new())
		return nil
	case "__job_started":
		job := j.get(args[1])
		<-job.started
		fmt.Fprint(h.Stdout, job.process())
		return nil
	case "__job_end":
		return j.end(args[1], args[2])
	case "__job_status":
		return status(args[1])
	case "__job_command":
		args = args[1:]
	}
	return j.process(ctx, h, args)
}

func (j *jobs) end(id, code string) error {
	n, err := strconv.Atoi(code)
	if err != nil {
		return err
	}
	j.get(id).end(n)
	return status(code)
}

func status(code string) error {
	n, err := strconv.ParseUint(code, 10, 8)
	if err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	return interp.ExitStatus(n)
}

// process runs a program found on PATH and waits for it.
func (j *jobs) process(ctx context.Context, h interp.HandlerContext, args []string) error {
	path, err := interp.LookPathDir(h.Dir, h.Env, args[0])
	if err != nil {
		return notFound(h, args[0])
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Args, cmd.Env, cmd.Dir = args, exported(h.Env), h.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = h.Stdin, h.Stdout, h.Stderr
	if err := cmd.Start(); err != nil {
		if errors.Is(err, syscall.ENOEXEC) {
			return j.process(ctx, h, append([]string{"sh", path}, args[1:]...))
		}
		fmt.Fprintf(h.Stderr, "sh: %v\n", err)
		return interp.ExitStatus(126)
	}
	if id := h.Env.Get("__job"); id.IsSet() {
		j.get(id.String()).begin(cmd.Process.Pid)
	}
	return ended(cmd.Wait())
}

// notFound says why there is no program of that name.
func notFound(h interp.HandlerContext, name string) error {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(h.Dir, path)
	}
	if _, err := os.Stat(path); err == nil && strings.Contains(name, "/") {
		fmt.Fprintf(h.Stderr, "sh: %s: permission denied\n", name)
		return interp.ExitStatus(126)
	}
	fmt.Fprintf(h.Stderr, "sh: %s: not found\n", name)
	return interp.ExitStatus(127)
}

// ended turns the end of a process into an exit status.
func ended(err error) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	if w, ok := exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return interp.ExitStatus(128 + w.Signal())
	}
	return interp.ExitStatus(exit.ExitCode())
}

func exported(e expand.Environ) []string {
	var list []string
	for name, v := range e.Each {
		if v.Exported && v.Kind == expand.String {
			list = append(list, name+"="+v.String())
		}
	}
	return list
}

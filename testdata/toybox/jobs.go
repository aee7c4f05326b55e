package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// The interpreter runs what is put in the background as a goroutine that begins some time later and has
// no process id. Scripts expect that it has begun when the next command runs, also if that ends the
// script, and that $! can be killed. So programs are rewritten before they run: instead of
//
//	command &
//
// the script tells when a job begins and ends, and waits until it has begun. Names that begin with __job
// are those of commands that only the shell itself has (see jobs.exec) and of its variables.
const jobTemplate = `{
	__job_id=$(__job_new)
	{
		__job=$__job_id
		if (command); then __job_end $__job 0; else __job_end $__job $?; fi
	} &
	__job_pid=$(__job_started $__job_id)
}`

// job is something in the background.
type job struct {
	id int
	mu sync.Mutex
	// pid is that of the first process of the job, 0 if it has none.
	pid int
	// started is closed when there is a process, or when the job ended without; then ended is closed too.
	started, ended chan struct{}
	status         int
}

// jobs are those of a shell and its subshells.
type jobs struct {
	mu   sync.Mutex
	byID map[string]*job
}

// rewriteJobs rewrites a program so that its jobs can be waited for.
func rewriteJobs(program *syntax.File) {
	rewritten := map[*syntax.Stmt]bool{}
	syntax.Walk(program, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Stmt:
			if n.Background && !rewritten[n] {
				rewritten[rewriteJob(n)] = true
			}
		case *syntax.ParamExp:
			if n.Param != nil && n.Param.Value == "!" {
				n.Param.Value = "__job_pid"
			}
		}
		return true
	})
}

// rewriteJob makes s the template around what it was, and returns the statement in it that still runs in
// the background.
func rewriteJob(s *syntax.Stmt) *syntax.Stmt {
	template, err := syntax.NewParser().Parse(strings.NewReader(jobTemplate), "")
	if err != nil {
		panic(err) // the template is a constant
	}
	command := *s
	command.Background = false
	var background *syntax.Stmt
	syntax.Walk(template, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Stmt:
			if n.Background {
				background = n
			}
		case *syntax.Subshell:
			n.Stmts = []*syntax.Stmt{&command}
			return false
		}
		return true
	})
	*s = *template.Stmts[0]
	return background
}

func (j *jobs) new() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := &job{id: len(j.byID) + 1, started: make(chan struct{}), ended: make(chan struct{})}
	id := strconv.Itoa(b.id)
	j.byID[id] = b
	return id
}

func (j *jobs) get(id string) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.byID[id]
}

// find returns the job of a process id.
func (j *jobs) find(pid string) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, job := range j.byID {
		if job.process() == pid {
			return job, nil
		}
	}
	return nil, fmt.Errorf("process %s is not a child of this shell", pid)
}

// maxPid is more than any process id of Linux.
const maxPid = 1 << 22

// process is the job's process id, or one that no process has if it has none.
func (b *job) process() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pid == 0 {
		return strconv.Itoa(maxPid + b.id)
	}
	return strconv.Itoa(b.pid)
}

// begin says that a process runs for the job.
func (b *job) begin(pid int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pid == 0 {
		b.pid = pid
		close(b.started)
	}
}

// end says that the job is over.
func (b *job) end(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = status
	close(b.ended)
	if b.pid == 0 {
		close(b.started)
	}
}

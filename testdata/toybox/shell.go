package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// sh runs a script: the first argument with -c, else a file, else the standard input. The language is
// that of bash, of which that of POSIX is a part; commands are processes. Not supported are file
// descriptors above 2, signals in trap, and replacing the shell by exec (the command runs below the shell
// instead, which ends with it).
func sh(c *call) error {
	s, err := newScript(c)
	if err != nil {
		return err
	}
	program, err := syntax.NewParser().Parse(s.source, s.name)
	if err != nil {
		fmt.Fprintf(c.err, "sh: %v\n", err)
		return statusError(2)
	}
	rewriteJobs(program)
	return s.run(c, program)
}

// builtin runs a command that the shell has.
func builtin(c *call) error {
	s := script{params: append([]string{"--"}, c.args...)}
	program, err := syntax.NewParser().Parse(strings.NewReader(c.name+` "$@"`), c.name)
	if err != nil {
		return err
	}
	return s.run(c, program)
}

// script is what a shell was asked to run.
type script struct {
	name   string
	source io.Reader
	// params are options of set and positional parameters.
	params []string
}

func newScript(c *call) (script, error) {
	s := script{name: "sh", source: c.in}
	args := c.args
	command := false
	for len(args) > 0 && len(args[0]) > 1 && strings.ContainsAny(args[0][:1], "-+") && args[0] != "--" {
		letters := strings.NewReplacer("c", "", "i", "", "l", "", "s", "").Replace(args[0][1:])
		command = command || strings.Contains(args[0][1:], "c")
		if letters != "" {
			s.params = append(s.params, args[0][:1]+letters)
		}
		args = args[1:]
		if strings.HasSuffix(letters, "o") && len(args) > 0 {
			s.params, args = append(s.params, args[0]), args[1:]
		}
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	switch {
	case command && len(args) == 0:
		return s, usagef("-c wants a script")
	case command:
		s.source, args = strings.NewReader(args[0]), args[1:]
		if len(args) > 0 {
			s.name, args = args[0], args[1:]
		}
	case len(args) > 0:
		f, err := os.Open(args[0]) // closed when the shell ends
		if err != nil {
			return s, err
		}
		s.source, s.name, args = f, args[0], args[1:]
	}
	s.params = append(append(s.params, "--"), args...)
	return s, nil
}

// run runs a program to its end, but not what it left in the background.
func (s script) run(c *call, program *syntax.File) error {
	if err := c.out.Flush(); err != nil {
		return err
	}
	j := &jobs{byID: map[string]*job{}}
	r, err := interp.New(
		interp.StdIO(c.in, os.Stdout, c.err),
		interp.Env(expand.ListEnviron(os.Environ()...)),
		interp.Params(s.params...),
		interp.OpenHandler(openFile),
		interp.CallHandler(j.call),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return j.exec }),
	)
	if err != nil {
		return usagef("%v", err)
	}
	err = r.Run(context.Background(), program)
	if status, ok := errors.AsType[interp.ExitStatus](err); ok {
		return statusError(status)
	}
	return err
}

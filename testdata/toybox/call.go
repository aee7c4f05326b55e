package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// call is one invocation of a command.
type call struct {
	// name is what the command was called by, args what follows.
	name string
	args []string
	in   io.Reader
	// out is flushed when the command ends.
	out *bufio.Writer
	err io.Writer
}

// statusError is the end of a command that has said all there is to say.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// errUsage is wrapped by what complains about how a command was called.
var errUsage = errors.New("usage")

func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

// each calls do for all arguments. What fails is reported and does not keep the rest from being done.
func (c *call) each(args []string, do func(arg string) error) error {
	var failed error
	for _, arg := range args {
		err := do(arg)
		if err == nil {
			continue
		}
		failed = statusError(1)
		if _, said := errors.AsType[statusError](err); !said {
			_ = c.out.Flush()
			fmt.Fprintf(c.err, "%s: %v\n", c.name, err)
		}
	}
	return failed
}

// inputs calls do with every file named, or with the standard input if there is none or it is "-".
func (c *call) inputs(names []string, do func(name string, r io.Reader) error) error {
	if len(names) == 0 {
		return do("-", c.in)
	}
	return c.each(names, func(name string) error {
		if name == "-" {
			return do(name, c.in)
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return do(name, f)
	})
}

// lines calls do for every line of r, without its end, until do returns false.
func lines(r io.Reader, do func(line string) bool) error {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if err == nil {
			line = line[:len(line)-1]
		} else if line == "" {
			return notEOF(err)
		}
		if !do(line) || err != nil {
			return notEOF(err)
		}
	}
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Toybox is the userland of the images that tests and demonstrations build on: one static program that is
// sh, ls, cat and so on, depending on the name it is called by. It knows what small build scripts use, and
// refuses loudly what it does not know.
//
//	toybox COMMAND [ARGUMENT...]   run a command
//	toybox --list                  print the names of all commands
//	toybox --install DIR           make DIR/COMMAND a link to toybox for every command
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	if lookup(name) == nil && len(args) > 0 {
		name, args = args[0], args[1:]
	}
	os.Exit(run(name, args))
}

// run runs a command and returns its exit status.
func run(name string, args []string) int {
	a := lookup(name)
	if a == nil {
		fmt.Fprintf(os.Stderr, "toybox: no command %q; there are %v\n", name, names())
		return 127
	}
	c := &call{name: name, args: args, in: os.Stdin, out: bufio.NewWriter(os.Stdout), err: os.Stderr}
	return c.do(a)
}

// do runs an applet, reports its error and returns its exit status.
func (c *call) do(a applet) int {
	err := a(c)
	if flushErr := c.out.Flush(); err == nil {
		err = flushErr
	}
	if err == nil {
		return 0
	}
	if status, ok := errors.AsType[statusError](err); ok {
		return int(status)
	}
	fmt.Fprintf(c.err, "%s: %v\n", c.name, err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

func list(c *call) error {
	for _, name := range names() {
		fmt.Fprintln(c.out, name)
	}
	return nil
}

// install makes symbolic links in a directory to the program that is running.
func install(c *call) error {
	o, err := parse(c.args, "", "")
	if err != nil {
		return err
	}
	dir, err := o.one("directory")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, name := range names() {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

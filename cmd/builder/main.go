//go:build linux

// Command builder builds container images from Dockerfiles: one program, no daemon, no root, no set-up.
//
// This package holds the flags, the wiring of the other packages and the exit codes. It is the only one
// that reads the environment and the only one that sees both ends of an interface.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// The exit codes, which docs/EXIT-CODES.md explains to users.
const (
	exitFailed     = 1 // a step, a pull or a push failed
	exitUsage      = 2 // the command line is wrong
	exitDockerfile = 3 // the Dockerfile is wrong
	exitMachine    = 4 // this machine cannot do it
)

// garbagePercent lets memory grow to three times what is in use before garbage is collected, because that is
// little.
const garbagePercent = 200

func main() {
	debug.SetGCPercent(garbagePercent)
	root := newRoot()
	cmd, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return
	}
	if _, reported := errors.AsType[*reportedError](err); !reported {
		fmt.Fprintln(os.Stderr, "builder: "+err.Error())
	}
	if _, usage := errors.AsType[*usageError](err); usage {
		fmt.Fprintf(os.Stderr, "hint: see '%s --help'\n", cmd.CommandPath())
	}
	os.Exit(exitCode(err))
}

// newRoot returns the command with all its subcommands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "builder",
		Short:         "Build container images without a daemon, without root, anywhere a process can run",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{suggestFlag(cmd, err)} })
	root.AddCommand(newBuild(), newDag(), newDoctor(), newDu(), newExplain(), newFsck(), newIndex(), newInspect(), newLogin(), newLogout(), newPrune(), newRegistry(), newVerify(), newVersion())
	root.AddCommand(newLock())
	for _, cmd := range root.Commands() {
		cmd.DisableFlagsInUseLine = true // they say OPTIONS
	}
	return root
}

// exitCode says how to exit because of an error.
func exitCode(err error) int {
	var signal *sandbox.SignalError
	var usage *usageError
	var dockerfile *frontend.Error
	var name *frontend.NameError
	var unsupported *platforms.UnsupportedError
	var machine *machineError
	var rung *sandbox.RungError
	switch {
	case errors.As(err, &signal):
		return signal.Status()
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &unsupported), errors.As(err, &machine), errors.As(err, &rung):
		return exitMachine
	case errors.As(err, &name):
		return exitFailed // the registry's or the network's fault, not the Dockerfile's
	case errors.As(err, &dockerfile):
		return exitDockerfile
	}
	return exitFailed
}

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// machineError is something that this machine does not allow.
type machineError struct{ err error }

func (e *machineError) Error() string { return e.err.Error() }

func (e *machineError) Unwrap() error { return e.err }

// reportedError is an error that the user has been shown already.
type reportedError struct{ err error }

func (e *reportedError) Error() string { return e.err.Error() }

func (e *reportedError) Unwrap() error { return e.err }

// noArgs refuses arguments, and says which command may have been meant.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %q (did you mean %q?)", args[0], near[0])
	}
	return usagef("%s takes no argument %q", cmd.CommandPath(), args[0])
}

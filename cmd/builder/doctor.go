//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/solver/sandbox"
)

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	root, sandbox string
	json, inside  bool
}

func newDoctor() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor [OPTIONS]",
		Short: "Tell what this machine allows, and how to change that",
		Long: `Tell what this machine allows, which sandbox commands would run in, and for each "no" what to change.

Nothing is changed, nothing is asked of the network, and no secret is printed. The exit status is 4 if
commands cannot be run here; Dockerfiles without RUN can be built then all the same.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context()) },
	}
	s := cmd.Flags()
	addRoot(s, &f.root)
	s.StringVar(&f.sandbox, "sandbox", "auto", "sandbox to try: auto, userns, single, chroot or none")
	s.BoolVar(&f.json, "json", false, "print an object")
	s.BoolVar(&f.inside, "inside", false, "answer from inside of the sandbox")
	_ = s.MarkHidden("inside") // it is there
	return cmd
}

// report is all that doctor has found.
type report struct {
	Version  string `json:"version"`
	Platform string `json:"platform"`
	// Rung is the sandbox that commands get; Runs says that one has run in it.
	Rung sandbox.Rung `json:"rung"`
	Runs bool         `json:"runs"`
	// Refusals say why better sandboxes cannot be had.
	Refusals []sandbox.Refusal `json:"refusals"`
	Sections []section         `json:"sections"`
}

// section is what was asked about one thing.
type section struct {
	Name   string          `json:"name"`
	Probes []sandbox.Probe `json:"probes"`
}

// errNoCommands makes doctor exit as a build with a RUN would.
var errNoCommands = errors.New("commands cannot be run on this machine")

func (f *doctorFlags) run(ctx context.Context) error {
	best, err := parseRung(f.sandbox)
	if err != nil {
		return usagef("--sandbox: %w", err)
	}
	store, err := storePath(f.root)
	if f.inside {
		return f.examineInside(ctx, best, store)
	}
	r := f.examine(ctx, store, err)
	if f.json {
		err = printJSON(r)
	} else {
		err = printReport(os.Stdout, r)
	}
	if err == nil && !r.Runs {
		return &reportedError{&machineError{errNoCommands}}
	}
	return err
}

// examine puts all questions. One that gets no answer does not keep the others from theirs.
func (f *doctorFlags) examine(ctx context.Context, store string, noStore error) report {
	r := report{Version: version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Rung: sandbox.RungNone, Refusals: []sandbox.Refusal{}}
	in, err := f.askInside(ctx)
	if err != nil {
		in.Sections = []section{{"sandbox", []sandbox.Probe{{Name: "start", Found: err.Error()}}}}
	} else {
		r.Rung, r.Runs = in.Host.Rung, in.Runs
		r.Refusals = append(r.Refusals, in.Host.Refusals...)
	}
	r.Sections = append(r.Sections, in.Sections...)
	for _, s := range []struct {
		name string
		ask  func() []sandbox.Probe
	}{
		{"what sandboxes need", sandbox.Probes},
		{"programs and devices for the network", askNetwork},
		{"limits on builder itself", askLimits},
		{"directories", func() []sandbox.Probe { return askDirectories(store, noStore) }},
		{"registries", askRegistries},
		{"clock", askClock},
	} {
		r.Sections = append(r.Sections, ask(s.name, s.ask))
	}
	return r
}

// patience is how long a section may take.
const patience = 15 * time.Second

// ask puts questions that the kernel may leave without an answer, such as those about a network file system
// whose server is gone.
func ask(name string, questions func() []sandbox.Probe) section {
	answers := make(chan []sandbox.Probe, 1)
	go func() { answers <- questions() }()
	select {
	case probes := <-answers:
		return section{name, probes}
	case <-time.After(patience):
		return section{name, []sandbox.Probe{{Name: name, Found: fmt.Sprintf("no answer in %s", patience)}}}
	}
}

// inside is what is found out in the sandbox that builds would use.
type inside struct {
	Host     *sandbox.Host `json:"host"`
	Runs     bool          `json:"runs"`
	Sections []section     `json:"sections"`
}

// askInside starts this program once more, to enter the sandbox: if it hangs or dies there, this one does not.
func (f *doctorFlags) askInside(ctx context.Context) (in inside, err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*patience)
	defer cancel()
	args := []string{"doctor", "--inside", "--sandbox", f.sandbox}
	if f.root != "" {
		args = append(args, "--root", f.root)
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return in, fmt.Errorf("no answer from the sandbox in %s", 4*patience)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return in, errors.New(string(exit.Stderr))
	}
	if err != nil {
		return in, fmt.Errorf("entering the sandbox: %w", err)
	}
	return in, json.Unmarshal(out, &in)
}

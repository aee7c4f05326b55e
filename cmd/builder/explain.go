//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/solver"
)

func newExplain() *cobra.Command {
	var root string
	var last, asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [OPTIONS] [STEP]",
		Short: "Say why steps of the last build were cached or not",
		Long: `Say of each step of the last build whether it was cached, and if not, why.

That is the last build of the current directory, or with --last of anything. With STEP, a part of the instruction or
the number of the line it stands on, the whole text of its cache key is printed, and if it ran, how that is different
from the key of the step that was most like it in the build before.`,
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := storePath(root)
			if err != nil {
				return err
			}
			told, err := lastBuild(path, last)
			if err != nil {
				return err
			}
			if told.Steps, err = stepsLike(told.Steps, strings.Join(args, " ")); err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(told)
			case len(args) == 0:
				return printAccount(display.Safe(os.Stdout), told)
			}
			return printKeys(display.Safe(os.Stdout), told.Steps)
		},
	}
	addRoot(cmd.Flags(), &root)
	cmd.Flags().BoolVar(&last, "last", false, "the last build of anything, not only of the current directory")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object")
	return cmd
}

// lastBuild returns the account of the last build of the current directory, or of anything.
func lastBuild(store string, anything bool) (told cache.Told, err error) {
	all, err := cache.Accounts(store)
	if err != nil {
		return told, err
	}
	here, err := os.Getwd()
	if err != nil {
		return told, err
	}
	if here, err = filepath.EvalSymlinks(here); err != nil {
		return told, err
	}
	all = slices.DeleteFunc(all, func(t cache.Told) bool { return !anything && t.Context != here })
	switch {
	case len(all) > 0:
		return slices.MaxFunc(all, func(a, b cache.Told) int { return a.Time.Compare(b.Time) }), nil
	case anything:
		return told, fmt.Errorf("the store %s knows of no build", store)
	}
	return told, fmt.Errorf("the store %s knows of no build of %s; --last explains the last one of anything", store, here)
}

// stepsLike returns the steps that a text names.
func stepsLike(steps []solver.StepAccount, text string) ([]solver.StepAccount, error) {
	if text == "" {
		return steps, nil
	}
	var found []solver.StepAccount
	for _, s := range steps {
		if strings.Contains(s.Step, text) || fmt.Sprint(s.Line) == text {
			found = append(found, s)
		}
	}
	if found == nil {
		return nil, usagef("no step of the last build has %q in it", text)
	}
	return found, nil
}

// printAccount prints a line for each step, and why it was not cached.
func printAccount(w io.Writer, t cache.Told) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, built %s\n", t.Context, formatAge(time.Since(t.Time)))
	for _, s := range t.Steps {
		fmt.Fprintf(&b, "%-8s %s\n", s.Outcome, heading(s))
		if s.Reason != "" {
			fmt.Fprintf(&b, "         %s\n", s.Reason)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// heading is a step with its place.
func heading(s solver.StepAccount) string {
	platform := ""
	if s.Platform != "" {
		platform = s.Platform + " "
	}
	return fmt.Sprintf("%s[%s %d/%d] %s", platform, s.Stage, s.Index, s.Total, s.Step)
}

// printKeys prints the key of each step, as a difference if it ran although there was one most like it.
func printKeys(w io.Writer, steps []solver.StepAccount) error {
	var b strings.Builder
	for i, s := range steps {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s\n%s:%d, %s\n", heading(s), s.File, s.Line, s.Outcome)
		if s.Reason != "" {
			fmt.Fprintln(&b, s.Reason)
		}
		for n, input := range s.Inputs {
			fmt.Fprintf(&b, "input %d is %s\n", n, input)
		}
		name, now, before := keyTexts(s)
		fmt.Fprintf(&b, "\n%s\n", name)
		for _, line := range difference(before, now) {
			b.WriteString(line + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// keyTexts returns the best known text of the key of a step, and that of the step it is compared with; if there is
// none, both are the same.
func keyTexts(s solver.StepAccount) (name, now, before string) {
	for _, c := range []struct {
		name string
		of   func(*solver.StepAccount) string
	}{
		{"key by content:", func(s *solver.StepAccount) string { return s.Content }},
		{"key by definition:", func(s *solver.StepAccount) string { return s.Definition }},
		{"key without the inputs:", func(s *solver.StepAccount) string { return s.Op }},
	} {
		now := c.of(&s)
		if now == "" {
			continue
		}
		if s.Before == nil {
			return c.name, now, now
		}
		if before := c.of(s.Before); before != "" {
			return c.name, now, before
		}
	}
	return "key without the inputs:", s.Op, s.Op
}

// difference returns the lines of two texts, those of only the first marked with a minus and those of only the second
// with a plus. Lines that stand in another order are not told apart, because keys have a fixed one.
func difference(before, now string) []string {
	old, fresh := strings.Split(strings.TrimSpace(before), "\n"), strings.Split(strings.TrimSpace(now), "\n")
	var lines []string
	for len(old) > 0 || len(fresh) > 0 {
		switch {
		case len(old) > 0 && len(fresh) > 0 && old[0] == fresh[0]:
			lines = append(lines, "  "+fresh[0])
			old, fresh = old[1:], fresh[1:]
		case len(old) > 0 && !slices.Contains(fresh, old[0]):
			lines = append(lines, "- "+old[0])
			old = old[1:]
		case len(fresh) > 0:
			lines = append(lines, "+ "+fresh[0])
			fresh = fresh[1:]
		default:
			lines = append(lines, "- "+old[0])
			old = old[1:]
		}
	}
	return lines
}

// subject is what the diary knows builds of the same thing by.
func (o *buildOptions) subject() cache.Told {
	context := o.context
	if dir, err := filepath.EvalSymlinks(context); err == nil {
		if dir, err = filepath.Abs(dir); err == nil {
			context = dir
		}
	}
	return cache.Told{Context: context, File: o.file, Target: o.target}
}

//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed-298d225e/builder/solver/sandbox"
)

// describe says what a rung is.
func describe(r sandbox.Rung) string {
	switch r {
	case sandbox.RungUserns:
		return "user, mount and pid namespaces with many ids"
	case sandbox.RungSingle:
		return "user, mount and pid namespaces with one id; owners of files are recorded instead of set"
	case sandbox.RungChroot:
		return "a changed root directory; no namespaces and no mounts"
	case sandbox.RungNone:
		return "commands cannot be run; Dockerfiles without RUN can be built"
	}
	return ""
}

// printReport prints what was found for people: the sandbox first, then a line for every answer.
func printReport(w io.Writer, r report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "builder %s %s\n\n", r.Version, r.Platform)
	fmt.Fprintf(&b, "sandbox: %s (%s)\n", r.Rung, describe(r.Rung))
	if r.Rung != sandbox.RungNone && !r.Runs {
		b.WriteString("         but a command could not be run in it, see below\n")
	}
	if len(r.Refusals) == 0 && r.Rung == sandbox.RungUserns {
		b.WriteString("         the best there is\n")
	}
	for i, refusal := range r.Refusals {
		fmt.Fprintf(&b, "         not %s: %s\n", refusal.Rung, refusal.Why)
		if refusal.Fix != "" && (i+1 == len(r.Refusals) || r.Refusals[i+1].Fix != refusal.Fix) {
			fmt.Fprintf(&b, "           to have it: %s\n", refusal.Fix)
		}
	}
	for _, s := range r.Sections {
		printSection(&b, s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printSection(b *strings.Builder, s section) {
	fmt.Fprintf(b, "\n%s\n", s.Name)
	width := 0
	for _, p := range s.Probes {
		width = max(width, len(p.Name))
	}
	for i, p := range s.Probes {
		mark := "ok"
		if !p.OK {
			mark = "no"
		}
		found := strings.TrimSpace(strings.ReplaceAll(p.Found, "\n", "; "))
		if p.Errno != "" {
			found = p.Errno + ": " + found
		}
		fmt.Fprintf(b, "  %s  %-*s  %s\n", mark, width, p.Name, found)
		if p.Fix != "" && (i+1 == len(s.Probes) || s.Probes[i+1].Fix != p.Fix) { // once for neighbours that share it
			fmt.Fprintf(b, "      %-*s  to change that: %s\n", width, "", p.Fix)
		}
	}
}

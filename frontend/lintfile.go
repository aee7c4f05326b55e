package frontend

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// lintContinuations passes on the only warning that the parser has: of empty lines in instructions.
func (f *dockerfile) lintContinuations(warnings []parser.Warning) {
	for _, w := range warnings {
		if w.URL == linter.RuleNoEmptyContinuation.URL {
			f.lint.Run(&linter.RuleNoEmptyContinuation, []parser.Range{*w.Location}, linter.RuleNoEmptyContinuation.Format())
		}
	}
}

// lintStageNames finds stages with the name of another or of something else.
func (f *dockerfile) lintStageNames() {
	seen := map[string]bool{}
	for _, s := range f.stages {
		if s.Name == "context" || s.Name == "scratch" {
			f.lint.Run(&linter.RuleReservedStageName, s.Location, linter.RuleReservedStageName.Format(s.Name))
		}
		if seen[s.Name] && s.Name != "" {
			f.lint.Run(&linter.RuleDuplicateStageName, s.Location, linter.RuleDuplicateStageName.Format(s.Name))
		}
		seen[s.Name] = true
	}
}

// lintCasing finds instructions that are not in the case that most are in.
func (f *dockerfile) lintCasing() {
	lower, upper := 0, 0
	f.eachName(func(name string, _ []parser.Range) {
		switch name {
		case strings.ToLower(name):
			lower++
		case strings.ToUpper(name):
			upper++
		}
	})
	f.eachName(func(name string, place []parser.Range) {
		rule := &linter.RuleConsistentInstructionCasing
		switch {
		case lower > upper && name != strings.ToLower(name):
			f.lint.Run(rule, place, rule.Format(name, "lowercase"))
		case lower <= upper && name != strings.ToUpper(name):
			f.lint.Run(rule, place, rule.Format(name, "uppercase"))
		}
	})
}

// eachName calls visit for every instruction of every stage with its name as written.
func (f *dockerfile) eachName(visit func(name string, place []parser.Range)) {
	for _, s := range f.stages {
		visit(s.OrigCmd, s.Location)
		for _, c := range s.Commands {
			visit(c.Name(), c.Location())
		}
	}
}

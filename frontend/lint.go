package frontend

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/seed-298d225e/builder/solver"
)

// Warning is what a check of the Dockerfile found. The checks are those of docker build.
type Warning struct {
	// Rule is the name of the check, Description what it is about, URL where to read more.
	Rule, Description, URL string
	// Detail is what is wrong here.
	Detail   string
	Location solver.Location
}

// String returns the warning as docker build prints it.
func (w Warning) String() string {
	return printable(linter.LintFormatShort(w.Rule, w.Detail, w.Location.Start))
}

// openLinter makes the linter as the file's check directive or BUILDKIT_DOCKERFILE_CHECK, which is stronger,
// asks for.
func (f *dockerfile) openLinter(req *Request) error {
	options, _, place, _ := parser.ParseDirective("check", f.text)
	what := "check options"
	if arg, ok := req.BuildArgs["BUILDKIT_DOCKERFILE_CHECK"]; ok {
		options, place, what = arg, nil, "BUILDKIT_DOCKERFILE_CHECK"
	}
	config, err := linter.ParseLintOptions(options)
	if err != nil {
		return f.fail(place, fmt.Errorf("failed to parse %s: %w", what, err))
	}
	config.Warn = func(rule, description, url, detail string, place []parser.Range) {
		if req.Warn != nil {
			req.Warn(Warning{Rule: rule, Description: description, URL: url, Detail: detail, Location: f.location(place)})
		}
	}
	f.lint = linter.New(config)
	return nil
}

// violations returns the error that a file deserves which asks for its warnings to be errors.
func (f *dockerfile) violations() error {
	rules := slices.Clone(*f.lint.CalledRules)
	if !f.lint.ReturnAsError || len(rules) == 0 {
		return nil
	}
	slices.Sort(rules)
	return f.fail(nil, fmt.Errorf("lint violation found for rules: %s", strings.Join(slices.Compact(rules), ", ")))
}

// sorted returns the elements of a set in order.
func sorted(set map[string]struct{}) []string {
	list := make([]string, 0, len(set))
	for s := range set {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

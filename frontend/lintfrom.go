package frontend

import (
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/seed-298d225e/builder/platforms"
)

// lintDefaultBases finds stages whose base has no valid name unless build arguments are given.
func (l *lowerer) lintDefaultBases(builtin *variables) {
	globals, _, err := l.globalArgs(builtin, nil)
	if err != nil {
		return // it will be reported when it matters
	}
	for _, s := range l.file.stages {
		r, err := l.expand.word(s.BaseName, globals)
		if err != nil {
			return
		}
		if _, err := reference.ParseNormalizedNamed(r.Result); err != nil {
			rule := &linter.RuleInvalidDefaultArgInFrom
			l.file.lint.Run(rule, s.Location, rule.Format(s.BaseName))
		}
	}
}

// lintUnknownArgs finds variables of a FROM that nobody declared.
func (l *lowerer) lintUnknownArgs(lint *linter.Linter, unknown map[string]struct{}, s *instructions.Stage) {
	for _, name := range sorted(unknown) {
		if _, ok := l.declared[name]; !ok {
			lint.Run(&linter.RuleUndefinedArgInFrom, s.Location, linter.RuleUndefinedArgInFrom.Format(name, l.similarArg(name)))
		}
	}
}

// lintPlatform finds FROM --platform that says what goes without saying, or what it should not say.
func (l *lowerer) lintPlatform(lint *linter.Linter, r shell.ProcessWordResult, s *instructions.Stage) {
	const target = "TARGETPLATFORM"
	if _, ok := r.Matched[target]; ok && len(r.Matched) == 1 && len(r.Unmatched) == 0 {
		if value, _ := l.globals.Get(target); value == r.Result {
			lint.Run(&linter.RuleRedundantTargetPlatform, s.Location, linter.RuleRedundantTargetPlatform.Format(s.Platform))
		}
	}
	if len(r.Matched) > 0 || len(r.Unmatched) > 0 {
		return
	}
	p, err := platforms.Parse(r.Result)
	if err == nil && !strings.Contains(s.Name, p.OS) && !strings.Contains(s.Name, p.Architecture) {
		rule := &linter.RuleFromPlatformFlagConstDisallowed
		lint.Run(rule, s.Location, rule.Format(r.Result))
	}
}

// lintBasePlatform finds images that are not for the platform they were asked for.
func (l *lowerer) lintBasePlatform(s *stage, o origin) {
	got, want := o.config.Platform, o.platform
	if len(o.base.Image.DiffIDs) == 0 || got.OS == want.OS && got.Architecture == want.Architecture {
		return
	}
	rule := &linter.RuleInvalidBaseImagePlatform
	l.file.lint.Run(rule, s.from.Location, rule.Format(s.from.BaseName,
		platforms.FormatAll(platforms.Normalize(want)), platforms.FormatAll(normalPlatform(got))))
}

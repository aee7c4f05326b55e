package frontend

import (
	"bytes"
	"fmt"
	"path"
	"slices"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// maxPatterns bounds the lines of an ignore file that are patterns.
const maxPatterns = 10_000

// ParseIgnore returns the patterns of an ignore file, which errors call name. They mean what those of
// .dockerignore mean: later ones win, and those that begin with ! say what is not ignored.
func ParseIgnore(name string, text []byte) ([]string, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("parsing %s: it has %d bytes and may have %d MiB", name, len(text), maxFile>>20)
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", name, err)
	}
	if len(patterns) > maxPatterns {
		return nil, fmt.Errorf("parsing %s: it has %d patterns and may have %d", name, len(patterns), maxPatterns)
	}
	if _, err := patternmatcher.New(slices.Clone(patterns)); err != nil {
		return nil, fmt.Errorf("parsing %s: %w", name, err)
	}
	return patterns, nil
}

// ignoreMatcher returns what tells whether a path is ignored, nil if that does not follow from its name
// alone: exceptions can bring back a part of a directory.
func ignoreMatcher(patterns []string) *patternmatcher.PatternMatcher {
	m, err := patternmatcher.New(slices.Clone(patterns))
	if err != nil || len(patterns) == 0 || m.Exclusions() {
		return nil
	}
	return m
}

// lintIgnored finds sources that the ignore file hides.
func (s *state) lintIgnored(c instructions.Command, verb, p string) {
	if s.ignored == nil || s.expand.extra.spend(100*len(s.ignored.Patterns())) != nil {
		return
	}
	p = path.Clean(p)
	if (p == "." || p == "/") && !hidesAll(s.ignored) {
		return
	}
	if hidden, err := s.ignored.MatchesOrParentMatches(p); err == nil && hidden {
		rule := &linter.RuleCopyIgnoredFile
		s.lint.Run(rule, c.Location(), rule.Format(verb, p))
	}
}

// hidesAll reports whether one of the patterns is about everything.
func hidesAll(m *patternmatcher.PatternMatcher) bool {
	return slices.ContainsFunc(m.Patterns(), func(p *patternmatcher.Pattern) bool {
		return !p.Exclusion() && slices.Contains([]string{"*", "**", "**/*"}, p.String())
	})
}

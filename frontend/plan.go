package frontend

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/seed-298d225e/builder/platforms"
)

// scratchName is the base that is nothing.
const scratchName = "scratch"

// plan finds out which stages there are, and what each begins from and copies from.
func (l *lowerer) plan() error {
	for i, from := range l.file.stages {
		s, err := l.planStage(i, from)
		if err != nil {
			return l.file.fail(from.Location, err)
		}
		l.stages = append(l.stages, s)
		if from.Name != "" {
			l.byName[strings.ToLower(from.Name)] = s
		}
	}
	for _, s := range l.stages {
		for _, c := range s.from.Commands {
			sources, err := l.sources(s, c)
			if err != nil {
				return l.file.fail(c.Location(), err)
			}
			s.commands = append(s.commands, command{Command: c, sources: sources})
		}
	}
	if err := l.checkCycles(); err != nil {
		return err
	}
	for _, s := range l.stages {
		if s.base != nil && s.context == "" {
			if err := l.addTriggers(s, s.base.triggers()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lowerer) planStage(number int, from instructions.Stage) (*stage, error) {
	s := &stage{from: from, number: number, usesArgs: map[string]struct{}{}}
	lint := l.file.lint.WithMergedConfigFromComments(from.Comments)
	r, err := l.expand.word(from.BaseName, l.globals)
	l.lintUnknownArgs(lint, r.Unmatched, &s.from)
	if err != nil {
		return nil, err
	}
	if r.Result == "" {
		return nil, fmt.Errorf("base name (%s) should not be blank", from.BaseName)
	}
	s.from.BaseName = r.Result
	maps.Copy(s.usesArgs, r.Matched)
	if err := l.planPlatform(lint, s); err != nil {
		return nil, err
	}
	s.context = l.contextFor(from.Name)
	if s.context == "" {
		s.base = l.byName[s.from.BaseName]
	}
	if s.context == "" && s.base == nil {
		s.ref, err = fullName(s.from.BaseName)
	}
	return s, err
}

// fullName returns the reference that a name stands for, with host and tag; an empty one for scratch.
func fullName(name string) (string, error) {
	if name == scratchName {
		return "", nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("failed to parse stage name %q: %w", name, err)
	}
	return reference.TagNameOnly(named).String(), nil
}

// planPlatform evaluates FROM --platform.
func (l *lowerer) planPlatform(lint *linter.Linter, s *stage) error {
	flag := s.from.Platform
	if flag == "" {
		return nil
	}
	r, err := l.expand.word(flag, l.globals)
	l.lintUnknownArgs(lint, r.Unmatched, &s.from)
	l.lintPlatform(lint, r, &s.from)
	if err != nil {
		return fmt.Errorf("failed to process arguments for platform %s: %w", flag, err)
	}
	if r.Result == "" {
		return l.suggestArg(fmt.Errorf("empty platform value from expression %s", flag), r.Unmatched)
	}
	p, err := platforms.Parse(r.Result)
	if err != nil {
		return fmt.Errorf("failed to parse platform %s: %w", flag, l.suggestArg(err, r.Unmatched))
	}
	maps.Copy(s.usesArgs, r.Matched)
	s.platform = &p
	return nil
}

// sources finds the stages that an instruction copies or mounts from; see command.
func (l *lowerer) sources(s *stage, c instructions.Command) ([]*stage, error) {
	switch c := c.(type) {
	case *instructions.CopyCommand:
		if c.From == "" {
			return nil, nil
		}
		source, err := l.copySource(s, c)
		return []*stage{source}, err
	case *instructions.RunCommand:
		var list []*stage
		for _, m := range instructions.GetMounts(c) {
			var source *stage
			if m.From != "" {
				var err error
				if source, err = l.stageOrForeign(m.From, c.Location()); err != nil {
					return nil, err
				}
			}
			list = append(list, source)
		}
		return list, nil
	}
	return nil, nil
}

// copySource returns the stage that COPY --from names, by its number or name. The name may hold arguments
// that can be known before any stage is lowered; docker build takes none.
func (l *lowerer) copySource(s *stage, c *instructions.CopyCommand) (*stage, error) {
	args := l.globals
	if strings.Contains(c.From, "$") {
		args = l.argsBefore(s, c)
		if err := l.expand.budget.spend(64 * len(args.names)); err != nil {
			return nil, err
		}
	}
	r, err := l.expand.word(c.From, args)
	if err != nil {
		return nil, err
	}
	if len(r.Unmatched) > 0 {
		return nil, errors.New("variable expansion is not supported for --from, " +
			"define a new stage with FROM using ARG from global scope as a workaround")
	}
	if r.Result == "" {
		return nil, fmt.Errorf("--from=%s should not be blank", c.From)
	}
	index, err := strconv.Atoi(r.Result)
	switch {
	case err == nil && (index < 0 || index >= len(l.stages)):
		return nil, fmt.Errorf("invalid stage index %d", index)
	case err == nil:
		return l.stages[index], nil
	}
	return l.stageOrForeign(r.Result, c.Location())
}

// stageOrForeign returns the stage called name, or one that stands for the name of something else.
func (l *lowerer) stageOrForeign(name string, place []parser.Range) (*stage, error) {
	if s, ok := l.byName[strings.ToLower(name)]; ok {
		return s, nil
	}
	if s, ok := l.foreign[name]; ok {
		return s, nil
	}
	ref, err := fullName(name)
	if err != nil {
		return nil, err
	}
	s := &stage{from: instructions.Stage{BaseName: name, Location: place}, foreign: true, ref: ref}
	l.foreign[name] = s
	return s, nil
}

// addTriggers puts the instructions that the base of s has put off before those of s.
func (l *lowerer) addTriggers(s *stage, triggers []string) error {
	if len(triggers) > maxInstructions {
		return l.file.fail(s.from.Location, fmt.Errorf("the base has %d triggers: it may have %d", len(triggers), maxInstructions))
	}
	var commands []command
	for _, trigger := range triggers {
		c, err := l.file.parseTrigger(trigger, s.from.Location)
		if err != nil {
			return err
		}
		if c.sources, err = l.sources(s, c.Command); err != nil {
			return l.file.fail(s.from.Location, err)
		}
		commands = append(commands, c)
	}
	s.commands = append(commands, s.commands...)
	return nil
}

// target returns the stage asked for.
func (l *lowerer) target() (*stage, error) {
	name := l.req.Target
	if name == "" {
		return l.stages[len(l.stages)-1], nil
	}
	if s, ok := l.byName[strings.ToLower(name)]; ok {
		return s, nil
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(l.stages) {
		return l.stages[i], nil
	}
	err := fmt.Errorf("target stage %q could not be found", name)
	return nil, l.file.fail(nil, didYouMean(err, similar(name, l.stageNames())))
}

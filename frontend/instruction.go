package frontend

import (
	"context"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// instruction lowers one instruction.
func (s *state) instruction(ctx context.Context, c command) error {
	s.lint = s.file.lint.WithMergedConfigFromComments(c.Comments())
	s.trigger = c.trigger
	if err := s.expandCommand(c.Command); err != nil {
		return err
	}
	switch i := c.Command.(type) {
	case *instructions.RunCommand:
		return s.run(i, c.sources)
	case *instructions.CopyCommand:
		return s.copy(i, c.sources)
	case *instructions.AddCommand:
		return s.add(ctx, i)
	case *instructions.WorkdirCommand:
		return s.changeDir(i)
	case *instructions.ArgCommand:
		return s.arg(i)
	default:
		return s.configure(c.Command)
	}
}

// expandCommand replaces the variables of an instruction that has them replaced as single words. ARG does
// that itself, because its default may not matter.
func (s *state) expandCommand(c instructions.Command) error {
	if _, isArg := c.(*instructions.ArgCommand); isArg {
		return nil
	}
	if words, ok := c.(instructions.SupportsSingleWordExpansion); ok {
		if err := words.Expand(s.expandWord(c)); err != nil {
			return suggestAgain(err, c.Name())
		}
	}
	if texts, ok := c.(instructions.SupportsSingleWordExpansionRaw); ok {
		return texts.ExpandRaw(s.expandText(c))
	}
	return nil
}

// expandWord returns what replaces the variables in the words of c.
func (s *state) expandWord(c instructions.Command) instructions.SingleWordExpander {
	return func(word string) (string, error) {
		r, err := s.expand.word(word, s.env)
		s.lintUnknownVariables(c, r.Unmatched)
		return r.Result, err
	}
}

// expandText returns what replaces the variables in the here-documents of c.
func (s *state) expandText(c instructions.Command) instructions.SingleWordExpander {
	return func(text string) (string, error) {
		r, err := s.expand.text(text, s.env)
		s.lintUnknownVariables(c, r.Unmatched)
		return r.Result, err
	}
}

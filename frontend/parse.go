package frontend

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// dockerfile is a Dockerfile as it was read.
type dockerfile struct {
	name string
	text []byte
	// escape is the character of the escape directive.
	escape rune
	// args are the ARG instructions before the first FROM.
	args   []instructions.ArgCommand
	stages []instructions.Stage
	lint   *linter.Linter
}

// parse reads the Dockerfile of req and runs the checks that need nothing else.
func parse(req *Request) (*dockerfile, error) {
	f := &dockerfile{name: req.Filename, text: req.Dockerfile}
	if err := f.checkText(); err != nil {
		return nil, err
	}
	if err := f.checkSyntax(req.BuildArgs); err != nil {
		return nil, err
	}
	if err := f.openLinter(req); err != nil {
		return nil, err
	}
	folded, err := fold(f.text)
	if err != nil {
		return nil, f.fail(locations(err), err)
	}
	parsed, err := folded.parse()
	if err != nil {
		return nil, f.fail(locations(err), err)
	}
	if n := len(parsed.AST.Children); n > maxInstructions {
		return nil, f.fail(parsed.AST.Children[maxInstructions].Location(),
			fmt.Errorf("failed to parse %d instructions: there may be %d", n, maxInstructions))
	}
	f.escape = parsed.EscapeToken
	f.lintContinuations(parsed.Warnings)
	f.stages, f.args, err = instructions.Parse(parsed.AST, f.lint)
	if err != nil {
		at := locations(err)
		return nil, f.fail(at, suggestAgain(parseCause(err), instructionAt(parsed.AST, at)))
	}
	if len(f.stages) == 0 {
		return nil, f.fail(nil, errors.New("dockerfile contains no stages to build"))
	}
	f.lintStageNames()
	f.lintCasing()
	return f, nil
}

// checkText makes sure that the file is text of a bearable size.
func (f *dockerfile) checkText() error {
	if len(f.text) == 0 {
		return f.fail(nil, errors.New("the Dockerfile cannot be empty"))
	}
	if len(f.text) > maxFile {
		return f.fail(nil, fmt.Errorf("failed to parse %d bytes: a Dockerfile may have %d MiB", len(f.text), maxFile>>20))
	}
	if i := bytes.IndexByte(f.text, 0); i >= 0 {
		return f.failLine(1+bytes.Count(f.text[:i], []byte("\n")), errors.New("failed to parse a NUL byte: a Dockerfile must be UTF-8 text"))
	}
	return nil
}

// parseTrigger reads an instruction that ONBUILD put off. It is taken to stand at the place given.
func (f *dockerfile) parseTrigger(trigger string, at []parser.Range) (command, error) {
	folded, err := fold([]byte(trigger))
	if err != nil {
		return command{}, f.fail(at, err)
	}
	parsed, err := folded.parse()
	if err != nil {
		return command{}, f.fail(at, err)
	}
	if len(parsed.AST.Children) != 1 {
		return command{}, f.fail(at, errors.New("onbuild trigger should be a single expression"))
	}
	node := parsed.AST.Children[0]
	l := f.location(at)
	node.StartLine, node.EndLine = l.Start, l.End
	c, err := instructions.ParseCommand(node)
	return command{Command: c, trigger: true}, f.fail(at, suggestAgain(unknownInstruction(err), node.Value))
}

// locations returns where the parser says that err is.
func locations(err error) []parser.Range {
	if e, ok := errors.AsType[*parser.LocationError](err); ok && len(e.Locations) > 0 {
		return e.Locations[0]
	}
	return nil
}

// instructionAt returns the name of the instruction that stands at a place.
func instructionAt(file *parser.Node, at []parser.Range) string {
	for _, node := range file.Children {
		if len(at) > 0 && node.StartLine == at[0].Start.Line {
			return node.Value
		}
	}
	return ""
}

// parseCause returns what the parser complains about without the line, which is said elsewhere. An unknown
// instruction needs no introduction.
func parseCause(err error) error {
	introduction, cause, ok := strings.Cut(err.Error(), ": ")
	if !ok || !strings.HasPrefix(introduction, "dockerfile parse error on line ") {
		return err
	}
	if _, ok := errors.AsType[*instructions.UnknownInstructionError](err); ok {
		return unknownInstruction(err)
	}
	return fmt.Errorf("dockerfile parse error: %s", cause)
}

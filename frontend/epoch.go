package frontend

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/seed-298d225e/builder/solver"
)

// epochArg says what time it is: as a number of seconds, or as the name of a source whose time it is.
const epochArg = "SOURCE_DATE_EPOCH"

// readEpoch evaluates the argument, which can be a build argument or a global one, and makes it the number.
func (l *lowerer) readEpoch(ctx context.Context) error {
	arg, given := l.req.BuildArgs[epochArg]
	if !given {
		arg, _ = l.globals.Get(epochArg)
	}
	if arg == "" {
		return nil
	}
	epoch, err := l.resolveEpoch(ctx, arg)
	if err != nil {
		return l.file.fail(nil, err)
	}
	l.epoch = epoch
	_, declared := l.globals.Get(epochArg)
	if epoch == nil {
		delete(l.req.BuildArgs, epochArg)
		l.globals.unset(epochArg)
		return nil
	}
	value := strconv.FormatInt(*epoch, 10)
	if given {
		l.req.BuildArgs[epochArg] = value
	}
	if declared {
		l.globals.set(epochArg, value)
	}
	return nil
}

// resolveEpoch returns the time that a number, the word context, a named context or a stage stands for.
func (l *lowerer) resolveEpoch(ctx context.Context, arg string) (*int64, error) {
	if n, err := strconv.ParseInt(arg, 10, 64); err == nil {
		return &n, nil
	}
	source, err := l.epochSource(ctx, arg)
	if err != nil {
		return nil, err
	}
	epoch, err := l.resolver.Epoch(ctx, source)
	if err != nil {
		return nil, &NameError{Name: epochArg + "=" + arg, Err: err}
	}
	return epoch, nil
}

func (l *lowerer) epochSource(ctx context.Context, arg string) (*solver.Vertex, error) {
	if arg == "context" {
		return l.req.Context, nil
	}
	if name := l.contextFor(arg); name != "" {
		c, err := l.resolver.Context(ctx, name, l.req.Platform)
		if err != nil {
			return nil, &NameError{Name: name, Err: err}
		}
		return c.Tree, nil
	}
	for i := range l.file.stages {
		s := &l.file.stages[i]
		if strings.EqualFold(s.Name, arg) {
			source, err := l.stageEpochSource(ctx, s)
			return source, l.file.fail(s.Location, err)
		}
	}
	return nil, fmt.Errorf("invalid SOURCE_DATE_EPOCH: %s", abbreviate(arg))
}

// stageEpochSource returns what the only ADD of a stage gets. A stage whose time is wanted may hold nothing
// else, so that its time is known before anything is built.
func (l *lowerer) stageEpochSource(ctx context.Context, s *instructions.Stage) (*solver.Vertex, error) {
	args := knownArgs{lowerer: l, own: l.globals.clone(), all: newVariables(nil)}
	args.own.unset(epochArg)
	base, err := l.expand.word(s.BaseName, args.own)
	if err != nil {
		return nil, err
	}
	if base.Result != scratchName {
		return nil, errors.New("SOURCE_DATE_EPOCH stage must use FROM scratch")
	}
	var source *solver.Vertex
	for _, c := range s.Commands {
		switch c := c.(type) {
		case *instructions.ArgCommand:
			for _, arg := range c.Args {
				args.add(arg)
			}
		case *instructions.AddCommand:
			if source != nil {
				return nil, errors.New("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD")
			}
			if source, err = l.addEpochSource(ctx, c, args.own); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported %s instruction", c.Name())
		}
	}
	if source == nil {
		return nil, errors.New("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD")
	}
	return source, nil
}

func (l *lowerer) addEpochSource(ctx context.Context, c *instructions.AddCommand, env *variables) (*solver.Vertex, error) {
	if len(c.SourceContents) != 0 || len(c.SourcePaths) != 1 {
		return nil, errors.New("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD source")
	}
	address, err := l.expand.word(c.SourcePaths[0], env)
	if err != nil {
		return nil, err
	}
	checksum, err := l.expand.word(c.Checksum, env)
	if err != nil {
		return nil, err
	}
	source, _, err := l.remoteSource(ctx, c, address.Result, checksum.Result)
	if err == nil && source == nil {
		err = errors.New("SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD")
	}
	return source, err
}

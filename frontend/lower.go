package frontend

import (
	"context"
	"maps"
	"slices"

	"github.com/moby/patternmatcher"
)

// lowerer turns one Dockerfile into vertices. Its fields are filled in the order in which they stand: each step
// of [Lower] reads what the ones before it have found out.
type lowerer struct {
	req      *Request
	file     *dockerfile
	resolver Resolver
	expand   *expander
	// ignored says what the ignore file hides; nil if that cannot be said of a path alone.
	ignored *patternmatcher.PatternMatcher
	// named are the names of the named contexts by their shortest form.
	named map[string]string

	// globals are the arguments before the first FROM, and those that need no declaration; declared is
	// what the file says about them.
	globals  *variables
	declared map[string]argument
	epoch    *int64
	// commits are what git refs were resolved to, by address, ref and checksum.
	commits map[string]string

	// stages are those of the file; byName has those with a name, foreign what else is copied from.
	stages  []*stage
	byName  map[string]*stage
	foreign map[string]*stage

	// reached are the stages that are needed, origins what those begin from that continue no other.
	reached map[*stage]bool
	origins map[*stage]origin

	// states are the stages as they end.
	states map[*stage]*state
}

func newLowerer(req *Request, file *dockerfile, r Resolver) *lowerer {
	l := &lowerer{
		req: req, file: file, resolver: r, expand: newExpander(file.escape),
		ignored: ignoreMatcher(req.IgnorePatterns),
		named:   map[string]string{},
		byName:  map[string]*stage{}, foreign: map[string]*stage{},
		commits: map[string]string{}, reached: map[*stage]bool{}, origins: map[*stage]origin{}, states: map[*stage]*state{},
	}
	for _, name := range req.Contexts {
		l.named[familiar(name)] = name
	}
	return l
}

// lower finds the states in which the stages end that are wanted.
func (l *lowerer) lower(ctx context.Context, wanted ...*stage) error {
	if err := l.resolve(ctx, wanted); err != nil {
		return err
	}
	if err := l.lowerStages(ctx); err != nil {
		return err
	}
	return l.file.violations()
}

// lowerStages lowers the stages that were reached, in the order of the file.
func (l *lowerer) lowerStages(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(l.foreign)) {
		if s := l.foreign[name]; l.reached[s] {
			l.states[s] = newState(l, s, l.origins[s])
		}
	}
	for _, s := range l.stages {
		if !l.reached[s] {
			continue
		}
		if err := l.lowerStage(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// lowerStage finds the state in which s ends. Only then others can copy from it.
func (l *lowerer) lowerStage(ctx context.Context, s *stage) error {
	st, err := l.begin(s)
	if err != nil {
		return l.file.fail(s.from.Location, err)
	}
	if s.context == "" {
		for _, c := range s.commands {
			if err := st.instruction(ctx, c); err != nil {
				return l.file.fail(c.Location(), err)
			}
		}
	}
	l.states[s] = st
	return nil
}

// image returns what the stage that ended as s makes.
func (l *lowerer) image(s *state) *Image {
	img := &Image{Root: s.tree, Config: cloneConfig(&s.image), Base: s.base, Epoch: l.epoch}
	img.Config.Config.Env = s.vars.list()
	if len(l.req.Labels) > 0 && img.Config.Config.Labels == nil {
		img.Config.Config.Labels = map[string]string{}
	}
	maps.Copy(img.Config.Config.Labels, l.req.Labels)
	img.Config.RootFS.DiffIDs = nil
	img.Config.RootFS.Type = "layers"
	l.req.setPlatform(img)
	return img
}

package frontend

import "github.com/moby/buildkit/frontend/dockerfile/instructions"

// knownArgs are arguments whose values follow from arguments alone, so that they are known before any stage
// is lowered.
type knownArgs struct {
	*lowerer
	// own are those that the stage declares, all those and the global ones.
	own, all *variables
}

// argsBefore returns the arguments that c in s can see, and the global ones that it cannot.
func (l *lowerer) argsBefore(s *stage, c instructions.Command) *variables {
	k := knownArgs{lowerer: l, own: newVariables(nil), all: l.globals.clone()}
	k.addStage(s, c)
	return k.all
}

// addStage adds the arguments of s, and of the stages that it continues, up to the instruction last.
func (k *knownArgs) addStage(s *stage, last instructions.Command) {
	if s.base != nil {
		k.addStage(s.base, nil)
	}
	for _, c := range s.from.Commands {
		if c == last {
			return
		}
		if c, ok := c.(*instructions.ArgCommand); ok {
			for _, arg := range c.Args {
				k.add(arg)
			}
		}
	}
}

// add evaluates an argument. If its default depends on anything else, nothing is known about it.
func (k *knownArgs) add(arg instructions.KeyValuePairOptional) {
	value, ok := k.req.BuildArgs[arg.Key]
	switch {
	case ok:
	case arg.Value == nil:
		value, ok = k.globals.Get(arg.Key)
	default:
		r, err := k.expand.word(*arg.Value, k.own)
		value, ok = r.Result, err == nil && len(r.Unmatched) == 0
	}
	if !ok {
		k.own.unset(arg.Key)
		k.all.unset(arg.Key)
		return
	}
	k.own.set(arg.Key, value)
	k.all.set(arg.Key, value)
}

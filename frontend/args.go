package frontend

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/seed-298d225e/builder/platforms"
)

// argument is an ARG as the outline of a Dockerfile tells of it.
type argument struct {
	instructions.KeyValuePairOptional
	value string
	place []parser.Range
	// uses are the names of the arguments that its default refers to.
	uses map[string]struct{}
}

// readGlobals finds the values of the arguments before the first FROM, and what the epoch is.
func (l *lowerer) readGlobals(ctx context.Context) (err error) {
	builtin := l.builtinArgs()
	l.lintDefaultBases(builtin)
	if l.globals, l.declared, err = l.globalArgs(builtin, l.req.BuildArgs); err != nil {
		return err
	}
	return l.readEpoch(ctx)
}

// builtinArgs returns the arguments that exist without being declared.
func (l *lowerer) builtinArgs() *variables {
	build, target := l.req.BuildPlatform, l.req.Platform
	stage := cmp.Or(l.req.Target, l.file.stages[len(l.file.stages)-1].Name, "default")
	v := newVariables([]string{
		"BUILDPLATFORM=" + platforms.Format(build),
		"BUILDOS=" + build.OS,
		"BUILDOSVERSION=" + build.OSVersion,
		"BUILDARCH=" + build.Architecture,
		"BUILDVARIANT=" + build.Variant,
		"TARGETPLATFORM=" + platforms.FormatAll(target),
		"TARGETOS=" + target.OS,
		"TARGETOSVERSION=" + target.OSVersion,
		"TARGETARCH=" + target.Architecture,
		"TARGETVARIANT=" + target.Variant,
		"TARGETSTAGE=" + stage,
	})
	for _, name := range v.names {
		if value, ok := l.req.BuildArgs[name]; ok {
			v.set(name, value)
		}
	}
	return v
}

// globalArgs adds the arguments before the first FROM, as the build arguments make them, to builtin.
func (l *lowerer) globalArgs(builtin *variables, buildArgs map[string]string) (*variables, map[string]argument, error) {
	globals, declared := builtin.clone(), map[string]argument{}
	for _, c := range l.file.args {
		for _, arg := range c.Args {
			a, err := l.globalArg(globals, declared[arg.Key], arg, buildArgs)
			if err != nil {
				return nil, nil, l.file.fail(c.Location(), err)
			}
			if a.Value != nil {
				if err := globals.add(arg.Key, a.value); err != nil {
					return nil, nil, l.file.fail(c.Location(), err)
				}
			}
			a.place = c.Location()
			declared[arg.Key] = a
		}
	}
	return globals, declared, nil
}

// globalArg evaluates an argument that was declared before as earlier, if at all.
func (l *lowerer) globalArg(
	globals *variables, earlier argument, arg instructions.KeyValuePairOptional, buildArgs map[string]string,
) (argument, error) {
	a := argument{KeyValuePairOptional: arg}
	if value, ok := buildArgs[arg.Key]; ok {
		a.Value, a.value = &value, value
		return a, nil
	}
	if arg.Value == nil {
		return a, nil
	}
	r, err := l.expand.word(*arg.Value, globals)
	if err != nil {
		return a, err
	}
	a.Value, a.value, a.uses = &r.Result, r.Result, r.Matched
	if _, itself := a.uses[arg.Key]; itself {
		delete(a.uses, arg.Key)
		maps.Copy(a.uses, earlier.uses)
	}
	return a, nil
}

// environmental reports whether an argument becomes a variable of the commands. Those that only say which
// stages are to be scanned do not.
func environmental(name string) bool {
	return name != "BUILDKIT_SBOM_SCAN_CONTEXT" && name != "BUILDKIT_SBOM_SCAN_STAGE"
}

// arg lowers ARG.
func (s *state) arg(c *instructions.ArgCommand) error {
	words := make([]string, len(c.Args))
	for i, arg := range c.Args {
		s.lintSecret("ARG", arg.Key, c.Location())
		value, own, err := s.argValue(c, arg)
		if err != nil {
			return err
		}
		words[i] = arg.Key
		s.args.set(arg.Key, "")
		if value != nil {
			words[i] += "=" + *value
			s.args.set(arg.Key, *value)
		}
		if value != nil && environmental(arg.Key) {
			if err := s.env.add(arg.Key, *value); err != nil {
				return err
			}
		}
		s.outline.use(arg.Key)
		if own {
			a := argument{KeyValuePairOptional: arg, place: c.Location()}
			if value != nil {
				a.value = *value
			}
			s.outline.declare(arg.Key, a)
		}
	}
	return s.commit("ARG "+strings.Join(words, " "), false)
}

// argValue returns the value of an argument, nil if it has none: the build argument, else the default, else
// that of the global argument of its name. The argument is own unless it only makes a global one visible.
func (s *state) argValue(c *instructions.ArgCommand, arg instructions.KeyValuePairOptional) (value *string, own bool, err error) {
	if v, ok := s.req.BuildArgs[arg.Key]; ok {
		return &v, true, nil
	}
	if arg.Value == nil {
		v, ok := s.globals.Get(arg.Key)
		if !ok {
			return nil, true, nil
		}
		return &v, false, nil
	}
	r, err := s.expand.word(*arg.Value, s.env)
	s.lintUnknownVariables(c, r.Unmatched)
	return &r.Result, true, err
}

// proxies returns the variables that commands see for the predefined proxy arguments, both in capitals and
// not, as programs differ in which they read.
func proxies(buildArgs map[string]string) []string {
	values := map[string]string{}
	for _, arg := range slices.Sorted(maps.Keys(buildArgs)) {
		values[strings.ToLower(arg)] = buildArgs[arg]
	}
	var list []string
	for _, name := range []string{"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"} {
		if value := values[name]; value != "" {
			list = append(list, strings.ToUpper(name)+"="+value, name+"="+value)
		}
	}
	return list
}

package frontend

import "github.com/moby/buildkit/frontend/dockerfile/parser"

// outline is what the instructions of a stage can be given.
type outline struct {
	// used are the arguments that matter, declared those that the stage itself declares.
	used             map[string]struct{}
	declared         map[string]argument
	secrets, sockets []outlineSecret
}

type outlineSecret struct {
	id       string
	required bool
	place    []parser.Range
}

func newOutline(s *stage) *outline {
	o := &outline{used: map[string]struct{}{}, declared: map[string]argument{}}
	for name := range s.usesArgs {
		o.use(name)
	}
	return o
}

func (o *outline) use(name string)                 { o.used[name] = struct{}{} }
func (o *outline) declare(name string, a argument) { o.declared[name] = a }

func (o *outline) secret(id string, required bool, place []parser.Range) {
	o.secrets = append(o.secrets, outlineSecret{id, required, place})
}

func (o *outline) socket(id string, required bool, place []parser.Range) {
	o.sockets = append(o.sockets, outlineSecret{id, required, place})
}

// outlineCollector adds up the outlines of a stage and of what it is made from. Of things with the same name
// the first is told.
type outlineCollector struct {
	*lowerer
	stages                 map[*stage]bool
	args, secrets, sockets map[string]bool
	result                 OutlineResult
}

func (c *outlineCollector) collect(s *stage) {
	st := c.states[s]
	if s == nil || c.stages[s] || st == nil {
		return
	}
	c.stages[s] = true
	for _, name := range sorted(st.outline.used) {
		c.addArg(st.outline, name)
	}
	c.result.Secrets = c.addSecrets(c.result.Secrets, c.secrets, st.outline.secrets)
	c.result.SSH = c.addSecrets(c.result.SSH, c.sockets, st.outline.sockets)
	c.collect(s.base)
	for _, cmd := range s.commands {
		for _, source := range cmd.sources {
			c.collect(source)
		}
	}
}

// addArg adds an argument of a stage, and those that its default refers to.
func (c *outlineCollector) addArg(o *outline, name string) {
	a, ok := o.declared[name]
	if !ok {
		if a, ok = c.declared[name]; !ok {
			return
		}
	}
	if c.args[name] {
		return
	}
	c.args[name] = true
	c.result.Args = append(c.result.Args, OutlineArg{
		Name: name, Value: a.value, Description: a.DocComment, Location: c.file.place(a.place),
	})
	for _, used := range sorted(a.uses) {
		c.addArg(o, used)
	}
}

func (c *outlineCollector) addSecrets(list []OutlineSecret, seen map[string]bool, secrets []outlineSecret) []OutlineSecret {
	for _, s := range secrets {
		if !seen[s.id] {
			list = append(list, OutlineSecret{Name: s.id, Required: s.required, Location: c.file.place(s.place)})
		}
		seen[s.id] = true
	}
	return list
}

package frontend

import (
	"github.com/seed-298d225e/builder/solver"
)

// defaultPath is PATH in images that do not set it. Windows images leave it to the system.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// begin returns the state in which commands of s can run.
func (l *lowerer) begin(s *stage) (*state, error) {
	var st *state
	if s.base != nil {
		st = l.states[s.base].continued(s)
	} else {
		st = newState(l, s, l.origins[s])
	}
	// Each stage begins with a copy of what has come about, so many of them add up.
	if err := l.expand.budget.spend(st.size()); err != nil {
		return nil, err
	}
	if s.context != "" {
		return st, nil
	}
	return st, st.prepare()
}

// newState returns the state of a stage before its first instruction.
func newState(l *lowerer, s *stage, o origin) *state {
	st := &state{
		lowerer: l, stage: s, tree: o.tree, platform: o.platform, base: o.base,
		image: cloneConfig(&o.config), vars: newVariables(o.config.Config.Env),
		env: newVariables(nil), args: newVariables(nil), total: s.vertices(), outline: newOutline(s),
	}
	switch {
	case o.base != nil:
		l.lintBasePlatform(s, o)
		st.tree = st.baseVertex(o.base.Image)
	case !s.foreign && isFiles(o.tree):
		st.beginWith(o.tree, o.name)
	}
	return st
}

// baseVertex returns the vertex of the image that the stage begins from.
func (s *state) baseVertex(image solver.Image) *solver.Vertex {
	if len(image.DiffIDs) == 0 {
		return scratch()
	}
	return solver.NewVertex(solver.Vertex{Op: image, Platform: s.platform, Step: s.fromStep(image.Ref)})
}

// fromStep returns the step that FROM is.
func (s *state) fromStep(name string) solver.Step {
	step := solver.Step{Text: printable("FROM " + name), Location: s.file.location(s.stage.from.Location)}
	if !s.stage.foreign {
		s.steps++
		s.total++
		step.Stage, step.Index, step.Total = s.stage.label(), s.steps, s.total
	}
	return step
}

// isFiles reports whether the tree of v is one of files, which nothing can be built upon.
func isFiles(v *solver.Vertex) bool {
	switch v.Op.(type) {
	case solver.Image, solver.Scratch:
		return false
	}
	return v.Source()
}

// beginWith makes files, which are called name, the first layer.
func (s *state) beginWith(files *solver.Vertex, name string) {
	s.tree = scratch()
	var in inputs
	s.push(solver.Copy{
		Sources: []solver.CopySource{{Input: in.number(files), Path: "/", Contents: true}}, Dest: "/",
	}, s.fromStep(name), in)
	s.record("FROM "+name, true)
}

// continued returns the state in which a stage begins that continues this one.
func (s *state) continued(next *stage) *state {
	st := &state{
		lowerer: s.lowerer, stage: next, tree: s.tree, platform: s.platform, base: s.base,
		image: cloneConfig(&s.image), vars: s.vars.clone(), env: s.env.clone(), args: s.args.clone(),
		workdir: s.workdir, total: next.vertices(), outline: newOutline(next),
	}
	st.image.Config.OnBuild = nil
	return st
}

// size is about what a copy of s takes, in bytes.
func (s *state) size() int {
	c := &s.image.Config
	entries := len(s.image.History) + len(c.Labels) + len(c.ExposedPorts) + len(c.Volumes) +
		len(s.vars.names) + len(s.env.names) + len(s.args.names)
	return 128 * entries
}

// prepare makes commands of the stage run as its config says.
func (s *state) prepare() error {
	if _, ok := s.vars.Get("PATH"); !ok && s.platform.OS != windows {
		s.vars.set("PATH", defaultPath)
	}
	for _, name := range s.vars.names {
		if err := s.env.add(name, s.vars.values[name]); err != nil {
			return err
		}
	}
	if dir := s.image.Config.WorkingDir; dir != "" {
		return s.setWorkdir(dir)
	}
	return nil
}

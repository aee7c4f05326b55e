package frontend

import (
	"path"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"

	"github.com/seed-298d225e/builder/solver"
)

// changeDir lowers WORKDIR. The directory is made at once, even if nothing uses it, and is the user's.
func (s *state) changeDir(c *instructions.WorkdirCommand) error {
	if !s.workdir && !isAbsolute(c.Path, s.platform.OS) {
		rule := &linter.RuleWorkdirRelativePath
		s.lint.Run(rule, c.Location(), rule.Format(c.Path))
	}
	s.workdir = true
	if err := s.setWorkdir(c.Path); err != nil {
		return err
	}
	dir := slashed(s.image.Config.WorkingDir, s.platform.OS)
	step := s.step(c, s.expand.display(c.String(), s.env))
	if dir == "/" {
		return s.commit("WORKDIR "+dir, false)
	}
	s.push(solver.Mkdir{Path: s.dir(), Mode: 0o755, Owner: s.image.Config.User}, step, inputs{})
	return s.commit("WORKDIR "+dir, true)
}

// setWorkdir makes p, which may be relative to the one before, the working directory.
func (s *state) setWorkdir(p string) error {
	dir, err := absolute(slashed(s.image.Config.WorkingDir, s.platform.OS), p, s.platform.OS)
	if err != nil {
		return err
	}
	s.image.Config.WorkingDir = native(dir, s.platform.OS)
	return nil
}

// dir returns the working directory, absolute and with slashes.
func (s *state) dir() string {
	return path.Join("/", slashed(s.image.Config.WorkingDir, s.platform.OS))
}

package frontend

import (
	"errors"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/seed-298d225e/builder/solver"
)

// run lowers RUN.
func (s *state) run(c *instructions.RunCommand, sources []*stage) error {
	if s.platform.OS == windows {
		return errors.New("RUN needs a builder on Windows: here Windows images can only be copied into and configured")
	}
	if len(instructions.GetDevices(c)) > 0 {
		return errors.New("RUN --device is not supported")
	}
	script, err := readScript(c, s.image.OS)
	if err != nil {
		return err
	}
	op := solver.Exec{
		Args: script.args, Proxy: proxies(s.req.BuildArgs), Dir: s.dir(), User: s.image.Config.User,
		Hostname: s.req.Hostname, Hosts: s.req.Hosts, Limits: s.req.Limits,
	}
	if c.PrependShell {
		op.Args = s.withShell(op.Args)
	}
	if op.Network, op.Insecure, err = s.permissions(c); err != nil {
		return err
	}
	var in inputs
	if op.Mounts, err = s.mounts(c, sources, &in); err != nil {
		return err
	}
	if script.file != nil {
		op.Mounts = append(op.Mounts, solver.Mount{
			Type: solver.MountBind, Target: scriptDir, Input: in.number(inline(*script.file)), Source: "/", ReadOnly: true,
		})
	}
	op.Env = s.commandEnv(op.Mounts)
	if err := s.expand.budget.spend(s.env.size); err != nil {
		return err
	}
	text := s.expand.displayCommand(c.String()+script.summary, maskSecrets(s.env, op.Mounts))
	s.push(op, s.step(c, text), in)
	return s.commit("RUN "+s.argHistory()+strings.Join(op.Args, " ")+" # buildkit", true)
}

// withShell returns the command that runs a shell form.
func (s *state) withShell(args []string) []string {
	command := append([]string(nil), s.image.Config.Shell...)
	if len(command) == 0 {
		command = defaultShell(s.image.OS)
	}
	return append(command, strings.Join(args, " "))
}

func defaultShell(system string) []string {
	if system == windows {
		return []string{"cmd", "/S", "/C"}
	}
	return []string{"/bin/sh", "-c"}
}

// permissions returns what --network and --security ask for, if that is allowed.
func (s *state) permissions(c *instructions.RunCommand) (solver.Network, bool, error) {
	network := s.req.Network
	switch instructions.GetNetwork(c) {
	case instructions.NetworkNone:
		network = solver.NetworkNone
	case instructions.NetworkHost:
		if !s.req.AllowHostNetwork {
			return "", false, errors.New("RUN --network=host is not allowed: it needs --allow network.host")
		}
		network = solver.NetworkHost
	}
	insecure := instructions.GetSecurity(c) == instructions.SecurityInsecure
	if insecure && !s.req.AllowInsecure {
		return "", false, errors.New("RUN --security=insecure is not allowed: it needs --allow security.insecure")
	}
	return network, insecure, nil
}

// commandEnv returns the variables of a command: those of the stage, and where the first socket among its
// mounts is.
func (s *state) commandEnv(mounts []solver.Mount) []string {
	env := s.env.list()
	if _, ok := s.env.Get("SSH_AUTH_SOCK"); ok {
		return env
	}
	for _, m := range mounts {
		if m.Type == solver.MountSSH {
			return append(env, "SSH_AUTH_SOCK="+m.Target)
		}
	}
	return env
}

// maskSecrets returns env in which variables that hold secrets show that they do.
func maskSecrets(env *variables, mounts []solver.Mount) *variables {
	masked := env
	for _, m := range mounts {
		if m.Type != solver.MountSecret || m.Env == "" {
			continue
		}
		if masked == env {
			masked = env.clone()
		}
		masked.set(m.Env, "****")
	}
	return masked
}

package frontend

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// configure lowers the instructions that only change the config.
func (s *state) configure(c instructions.Command) error {
	switch c := c.(type) {
	case *instructions.EnvCommand:
		return s.setEnv(c)
	case *instructions.LabelCommand:
		return s.label(c)
	case *instructions.CmdCommand:
		return s.cmd(c)
	case *instructions.EntrypointCommand:
		return s.entrypoint(c)
	case *instructions.HealthCheckCommand:
		return s.healthcheck(c)
	case *instructions.ExposeCommand:
		return s.expose(c)
	case *instructions.UserCommand:
		s.image.Config.User = c.User
		return s.commit("USER "+c.User, false)
	case *instructions.VolumeCommand:
		return s.volume(c)
	case *instructions.StopSignalCommand:
		return s.stopSignal(c)
	case *instructions.ShellCommand:
		s.image.Config.Shell = c.Shell
		return s.commit(fmt.Sprintf("SHELL %v", c.Shell), false)
	case *instructions.MaintainerCommand:
		s.image.Author = c.Maintainer
		return s.commit("MAINTAINER "+c.Maintainer, false)
	case *instructions.OnbuildCommand:
		s.image.Config.OnBuild = append(s.image.Config.OnBuild, c.Expression)
		return nil
	}
	return fmt.Errorf("unsupported instruction %s", c.Name())
}

func (s *state) setEnv(c *instructions.EnvCommand) error {
	words := []string{"ENV"}
	for _, pair := range c.Env {
		s.lintLegacyPair(c, pair)
		s.lintSecret("ENV", pair.Key, c.Location())
		for _, v := range []*variables{s.env, s.vars} {
			if err := v.add(pair.Key, pair.Value); err != nil {
				return err
			}
		}
		words = append(words, pair.String())
	}
	return s.commit(strings.Join(words, " "), false)
}

func (s *state) label(c *instructions.LabelCommand) error {
	if s.image.Config.Labels == nil {
		s.image.Config.Labels = map[string]string{}
	}
	words := []string{"LABEL"}
	for _, pair := range c.Labels {
		s.lintLegacyPair(c, pair)
		s.image.Config.Labels[pair.Key] = pair.Value
		words = append(words, pair.String())
	}
	return s.commit(strings.Join(words, " "), false)
}

func (s *state) cmd(c *instructions.CmdCommand) error {
	s.lintOnce(c, &s.cmdAt)
	s.image.Config.Cmd = s.commandLine(c, c.ShellDependantCmdLine)
	s.image.Config.ArgsEscaped = true //nolint:staticcheck // Deprecated for others, but docker on Windows reads it.
	return s.commit(fmt.Sprintf("CMD %q", s.image.Config.Cmd), false)
}

// entrypoint lowers ENTRYPOINT, which makes the arguments of the base's CMD meaningless.
func (s *state) entrypoint(c *instructions.EntrypointCommand) error {
	s.lintOnce(c, &s.entrypointAt)
	s.image.Config.Entrypoint = s.commandLine(c, c.ShellDependantCmdLine)
	if s.cmdAt == nil {
		s.image.Config.Cmd = nil
	}
	return s.commit(fmt.Sprintf("ENTRYPOINT %q", s.image.Config.Entrypoint), false)
}

// commandLine returns a command of the image, with the shell that it needs.
func (s *state) commandLine(c instructions.Command, line instructions.ShellDependantCmdLine) []string {
	if !line.PrependShell {
		return line.CmdLine
	}
	s.lintShellForm(c)
	return s.withShell(line.CmdLine)
}

func (s *state) healthcheck(c *instructions.HealthCheckCommand) error {
	s.lintOnce(c, &s.healthcheckAt)
	health := *c.Health
	s.image.Config.Healthcheck = &health
	return s.commit(fmt.Sprintf("HEALTHCHECK %+v", health), false)
}

func (s *state) volume(c *instructions.VolumeCommand) error {
	if s.image.Config.Volumes == nil {
		s.image.Config.Volumes = map[string]struct{}{}
	}
	for _, v := range c.Volumes {
		if v == "" {
			return errors.New("VOLUME specified can not be an empty string")
		}
		s.image.Config.Volumes[v] = struct{}{}
	}
	return s.commit(fmt.Sprintf("VOLUME %v", c.Volumes), false)
}

func (s *state) stopSignal(c *instructions.StopSignalCommand) error {
	if !validSignal(c.Signal) {
		return fmt.Errorf("invalid signal: %s", c.Signal)
	}
	s.image.Config.StopSignal = c.Signal
	return s.commit("STOPSIGNAL "+c.Signal, false)
}

// emptyImage returns the config of a tree that nothing is known about.
func emptyImage(p v1.Platform) dockerspec.DockerOCIImage {
	var c dockerspec.DockerOCIImage
	c.OS, c.Architecture, c.Variant, c.OSVersion = p.OS, p.Architecture, p.Variant, p.OSVersion
	c.OSFeatures = slices.Clone(p.OSFeatures)
	c.RootFS.Type = "layers"
	c.Config.WorkingDir = "/"
	return c
}

// cloneConfig returns a copy that shares nothing that is changed.
func cloneConfig(c *dockerspec.DockerOCIImage) dockerspec.DockerOCIImage {
	out := *c
	out.History = slices.Clone(c.History)
	out.Config.OnBuild = slices.Clone(c.Config.OnBuild)
	out.Config.Labels = maps.Clone(c.Config.Labels)
	out.Config.ExposedPorts = maps.Clone(c.Config.ExposedPorts)
	out.Config.Volumes = maps.Clone(c.Config.Volumes)
	return out
}

// validSignal reports whether name is a signal of Linux, by name with or without SIG, or a number.
func validSignal(name string) bool {
	if n, err := strconv.Atoi(name); err == nil {
		return n != 0
	}
	name = strings.TrimPrefix(strings.ToUpper(name), "SIG")
	switch name {
	case "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
		"PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
		"USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX":
		return true
	}
	return realTime(name, "RTMIN+", 15) || realTime(name, "RTMAX-", 14)
}

// realTime reports whether name is prefix and a number from 1 to last.
func realTime(name, prefix string, last int) bool {
	for n := 1; n <= last; n++ {
		if name == fmt.Sprintf("%s%d", prefix, n) {
			return true
		}
	}
	return false
}

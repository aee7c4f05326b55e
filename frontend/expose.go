package frontend

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
)

// expose lowers EXPOSE. A variable in it may hold several ports.
func (s *state) expose(c *instructions.ExposeCommand) error {
	ports := []string{}
	for _, word := range c.Ports {
		specs, err := s.expand.words(word, s.env)
		if err != nil {
			return err
		}
		for _, spec := range specs {
			exposed, err := s.exposePort(c, spec)
			if err != nil {
				return err
			}
			ports = append(ports, exposed...)
		}
	}
	if s.image.Config.ExposedPorts == nil {
		s.image.Config.ExposedPorts = map[string]struct{}{}
	}
	for _, p := range ports {
		s.image.Config.ExposedPorts[p] = struct{}{}
	}
	return s.commit(fmt.Sprintf("EXPOSE %v", ports), false)
}

// exposePort returns the ports of [[address:]host:]first[-last][/protocol], each as number/protocol. What
// stands before the last colon has no meaning in a Dockerfile, but must be valid.
func (s *state) exposePort(c *instructions.ExposeCommand, spec string) ([]string, error) {
	address, host, container := splitPort(spec)
	ports, protocol, _ := strings.Cut(container, "/")
	if ports == "" {
		return nil, fmt.Errorf("invalid port: %q: no port specified", spec)
	}
	switch strings.ToLower(protocol) {
	case "":
		protocol = "tcp"
	case "tcp", "udp", "sctp":
	default:
		return nil, fmt.Errorf("invalid port: %q: invalid proto: %s", spec, protocol)
	}
	if protocol != strings.ToLower(protocol) {
		s.lint.Run(&linter.RuleExposeProtoCasing, c.Location(), linter.RuleExposeProtoCasing.Format(spec))
	}
	if address != "" || host != "" {
		s.lint.Run(&linter.RuleExposeInvalidFormat, c.Location(), linter.RuleExposeInvalidFormat.Format(spec))
	}
	first, last, err := portRange(ports)
	if err != nil {
		return nil, fmt.Errorf("invalid containerPort: %s: %w", ports, err)
	}
	if err := checkHost(address, host, first, last); err != nil {
		return nil, err
	}
	list := make([]string, 0, last-first+1)
	for p := first; p <= last; p++ {
		list = append(list, strconv.Itoa(p)+"/"+strings.ToLower(protocol))
	}
	return list, s.expand.budget.spend(16 * len(list))
}

// splitPort takes [[address:]host:]container apart. An address can have colons too.
func splitPort(spec string) (address, host, container string) {
	i := strings.LastIndexByte(spec, ':')
	if i < 0 {
		return "", "", spec
	}
	host, container = spec[:i], spec[i+1:]
	if i = strings.LastIndexByte(host, ':'); i >= 0 {
		address, host = host[:i], host[i+1:]
	}
	return address, host, container
}

// checkHost makes sure that the part of a port that has no meaning is valid.
func checkHost(address, host string, first, last int) error {
	ip := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	if address != "" && net.ParseIP(ip) == nil {
		return fmt.Errorf("invalid IP address: %s", address)
	}
	if host == "" {
		return nil
	}
	hostFirst, hostLast, err := portRange(host)
	if err != nil {
		return fmt.Errorf("invalid hostPort: %s: %w", host, err)
	}
	if first != last && last-first != hostLast-hostFirst {
		return fmt.Errorf("invalid ranges specified for container and host ports: %d-%d and %s", first, last, host)
	}
	return nil
}

// portRange reads first[-last].
func portRange(s string) (first, last int, err error) {
	low, high, ok := strings.Cut(s, "-")
	if first, err = portNumber(low); err != nil {
		return 0, 0, err
	}
	if !ok {
		return first, first, nil
	}
	if last, err = portNumber(high); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, errors.New("invalid port range")
	}
	return first, last, nil
}

func portNumber(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 0)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", abbreviate(s))
	}
	if n < 0 || n > 65535 {
		return 0, errors.New("value out of range (0-65535)")
	}
	return int(n), nil
}

package registry

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/seed-298d225e/builder/httpclient"
)

// host is one server that speaks the registry protocol.
type host struct {
	// name is the one that credentials are looked up under.
	name    string
	scheme  string
	address string
	mirrors []mirror
	// replaced and blocked are as in Host.
	replaced, blocked bool
	guard             guard
}

// mirror is a host that has what another one has, under a prefix.
type mirror struct {
	*host
	prefix string
}

func (h *host) url() *url.URL { return &url.URL{Scheme: h.scheme, Host: h.address, Path: "/v2/"} }

// The names of Docker Hub: what people write, what go-containerregistry makes of it, and who answers.
const (
	hubName    = "docker.io"
	hubIndex   = "index.docker.io"
	hubAddress = "registry-1.docker.io"
)

// hostName is the name under which the configuration has a registry.
func hostName(registry string) string {
	switch registry {
	case hubIndex, hubAddress:
		return hubName
	}
	return registry
}

// host returns the host of a registry name. The scheme may be empty.
func (c *Client) host(registry, scheme string) (*host, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hostLocked(hostName(registry), scheme)
}

func (c *Client) hostLocked(name, scheme string) (*host, error) {
	special := c.config.Hosts[name]
	if scheme == "" {
		scheme = special.Scheme
	}
	if scheme == "" {
		scheme = defaultScheme(name)
	}
	key := scheme + "://" + name
	if h := c.hosts[key]; h != nil {
		return h, nil
	}
	for _, dir := range c.config.CertificateDirs {
		if err := special.addCertificates(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("configuring the registry %s: %w", name, err)
		}
	}
	trusted, err := certificates(c.config.CA, special)
	if err != nil {
		return nil, fmt.Errorf("configuring the registry %s: %w", name, err)
	}
	h := &host{name: name, scheme: scheme, address: name, replaced: special.Replaced, blocked: special.Blocked}
	if name == hubName {
		h.address = hubAddress
	}
	c.hosts[key] = h
	direct := httpclient.NewTransport(c.config.Timeouts, c.config.Proxy)
	c.config.shape(direct, trusted)
	c.router.add(h.address, direct)
	for _, m := range special.Mirrors {
		made, err := c.mirrorLocked(m)
		if err != nil {
			return nil, fmt.Errorf("configuring the registry %s: %w", name, err)
		}
		h.mirrors = append(h.mirrors, made)
	}
	return h, nil
}

func (c *Client) mirrorLocked(text string) (mirror, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
	}
	name, prefix, _ := strings.Cut(rest, "/")
	if err := checkHost(name, scheme); err != nil {
		return mirror{}, fmt.Errorf("mirror %s: %w", text, err)
	}
	h, err := c.hostLocked(hostName(name), scheme)
	return mirror{host: h, prefix: strings.Trim(path.Clean("/"+prefix), "/")}, err
}

func checkHost(name, scheme string) error {
	switch scheme {
	case "", "http", "https":
	default:
		return fmt.Errorf("%q is not a scheme of a registry", scheme)
	}
	if u, err := url.Parse("//" + name); err != nil || u.Host != name || name == "" {
		return fmt.Errorf("%q is not the name of a host", name)
	}
	return nil
}

// defaultScheme is http for a registry on this machine.
func defaultScheme(name string) string {
	hostname := name
	if h, _, err := net.SplitHostPort(name); err == nil {
		hostname = h
	}
	hostname = strings.Trim(hostname, "[]")
	if hostname == "localhost" || strings.HasSuffix(hostname, ".localhost") {
		return "http"
	}
	if ip, err := netip.ParseAddr(hostname); err == nil && ip.Unmap().IsLoopback() {
		return "http"
	}
	return "https"
}

package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// ReadHosts reads a file that says how registries are reached, in one of two forms: the [registry."HOST"] tables
// of buildkitd.toml, or the [[registry]] tables of registries.conf, version 2. Of the latter a prefix can only be
// a host, without a path or a wildcard, and mirrors are asked for everything. Other tables are not looked at.
func ReadHosts(name string) (map[string]Host, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading how registries are reached: %w", err)
	}
	hosts, err := parseHosts(text, filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return hosts, nil
}

func parseHosts(text []byte, dir string) (map[string]Host, error) {
	var file struct {
		Registry any `toml:"registry"`
	}
	if err := toml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	switch file.Registry.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return parseBuildkit(text, dir)
	case []any:
		return parseContainers(text)
	}
	return nil, errors.New("registry is neither a table nor a list of tables")
}

// buildkitHosts are the tables of buildkitd.toml.
type buildkitHosts struct {
	Registry map[string]struct {
		Mirrors  []string `toml:"mirrors"`
		HTTP     bool     `toml:"http"`
		Insecure bool     `toml:"insecure"`
		CA       []string `toml:"ca"`
		KeyPairs []struct {
			Key         string `toml:"key"`
			Certificate string `toml:"cert"`
		} `toml:"keypair"`
		Dirs []string `toml:"tlsconfigdir"`
	} `toml:"registry"`
}

func parseBuildkit(text []byte, dir string) (map[string]Host, error) {
	var file buildkitHosts
	if err := toml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	hosts := map[string]Host{}
	for name, r := range file.Registry {
		h := Host{SkipVerify: r.Insecure, Mirrors: r.Mirrors}
		if r.HTTP {
			h.Scheme = "http"
		}
		for _, ca := range r.CA {
			h.CA = append(h.CA, beside(dir, ca))
		}
		if len(r.KeyPairs) > 1 {
			return nil, fmt.Errorf("%s has %d key pairs, and one can be shown", name, len(r.KeyPairs))
		}
		for _, pair := range r.KeyPairs {
			h.ClientCert, h.ClientKey = beside(dir, pair.Certificate), beside(dir, pair.Key)
		}
		for _, d := range r.Dirs {
			if err := h.addCertificates(beside(dir, d)); err != nil {
				return nil, err
			}
		}
		hosts[name] = h
	}
	return hosts, nil
}

// beside is a file named by another one in dir.
func beside(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// containersHosts are the tables of registries.conf.
type containersHosts struct {
	Registry []containersHost `toml:"registry"`
}

type containersHost struct {
	Prefix   string `toml:"prefix"`
	Location string `toml:"location"`
	Insecure bool   `toml:"insecure"`
	Blocked  bool   `toml:"blocked"`
	Mirrors  []struct {
		Location string `toml:"location"`
		Insecure bool   `toml:"insecure"`
	} `toml:"mirror"`
}

func parseContainers(text []byte) (map[string]Host, error) {
	var file containersHosts
	if err := toml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	hosts := map[string]Host{}
	for _, r := range file.Registry {
		if err := r.add(hosts); err != nil {
			return nil, err
		}
	}
	return hosts, nil
}

// add adds the registry, and what it says about others.
func (r containersHost) add(hosts map[string]Host) error {
	if r.Prefix == "" {
		r.Prefix = r.Location
	}
	if r.Location == "" {
		r.Location = r.Prefix
	}
	if r.Prefix == "" || strings.ContainsAny(r.Prefix, "/*") {
		return fmt.Errorf("the prefix %q is not a host, and no other is understood", r.Prefix)
	}
	h := hosts[r.Prefix]
	h.Blocked = r.Blocked
	for _, m := range r.Mirrors {
		h.Mirrors = append(h.Mirrors, m.Location)
		skipVerify(hosts, m.Location, m.Insecure)
	}
	if r.Location != r.Prefix {
		h.Mirrors, h.Replaced = append(h.Mirrors, r.Location), true
		skipVerify(hosts, r.Location, r.Insecure)
	} else {
		h.SkipVerify = r.Insecure
	}
	hosts[r.Prefix] = h
	return nil
}

// skipVerify notes down that the host of a location may show any certificate.
func skipVerify(hosts map[string]Host, location string, insecure bool) {
	name, _, _ := strings.Cut(location, "/")
	h := hosts[name]
	h.SkipVerify = h.SkipVerify || insecure
	hosts[name] = h
}

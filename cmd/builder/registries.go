//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/pflag"

	"github.com/seed-298d225e/builder/cloud"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// registryFlags are the flags that say how registries are spoken to.
type registryFlags struct {
	insecure, creds, registryConfigs []string
}

func (f *registryFlags) add(s *pflag.FlagSet) {
	s.StringArrayVar(&f.insecure, "insecure", nil, "registry that may be spoken to over http, or https with any certificate")
	s.StringArrayVar(&f.creds, "creds", nil, "credentials for a registry, HOST=USER:PASSWORD")
	s.StringArrayVar(&f.registryConfigs, "registry-config", nil, "file that says how registries are reached, as buildkitd.toml or registries.conf do, instead of those in the usual places")
}

// newClient returns what talks to registries. run runs credential helpers.
func (f *registryFlags) newClient(ctx context.Context, c registry.Config, run registry.Runner) (*registry.Client, error) {
	keychain, err := f.keychain(run)
	if err != nil {
		return nil, err
	}
	c.Keychain, c.Tokens = keychain, cloud.Keychain(os.Getenv)
	c.Proxy, c.UserAgent = http.ProxyFromEnvironment, userAgent()
	c.CertificateDirs = certificateDirs()
	if c.Hosts, err = f.hosts(ctx); err != nil {
		return nil, err
	}
	return registry.New(c)
}

// keychain returns the credentials of --creds, and after them those that are kept.
func (f *registryFlags) keychain(run registry.Runner) (authn.Keychain, error) { //nolint:ireturn // one of any kind
	kept, err := registry.NewKeychain(os.Getenv, run)
	if err != nil {
		return nil, err
	}
	given := givenCredentials{}
	for _, c := range f.creds {
		host, pair, ok := strings.Cut(c, "=")
		user, password, ok2 := strings.Cut(pair, ":")
		if !ok || !ok2 || host == "" || user == "" {
			return nil, usagef("--creds: it must be HOST=USER:PASSWORD") // and is not repeated here: it is a secret
		}
		r, err := name.NewRegistry(host)
		if err != nil {
			return nil, usagef("--creds: %s is not the name of a registry", host)
		}
		given[r.RegistryStr()] = authn.AuthConfig{Username: user, Password: password}
	}
	return authn.NewMultiKeychain(given, kept), nil
}

// givenCredentials are credentials by registry.
type givenCredentials map[string]authn.AuthConfig

// Resolve implements authn.Keychain.
func (g givenCredentials) Resolve(r authn.Resource) (authn.Authenticator, error) { //nolint:ireturn // the interface
	c, ok := g[r.RegistryStr()]
	if !ok {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(c), nil
}

// hosts says what is special about registries: what the files say, and --insecure.
func (f *registryFlags) hosts(ctx context.Context) (map[string]registry.Host, error) {
	files := f.registryConfigs
	if len(files) == 0 {
		files = usualConfigs()
	}
	hosts := map[string]registry.Host{}
	for _, file := range files {
		more, err := registry.ReadHosts(file)
		if len(f.registryConfigs) == 0 && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
			continue
		}
		if err != nil {
			return nil, &usageError{err}
		}
		maps.Copy(hosts, more)
	}
	for _, n := range f.insecure {
		h := hosts[n]
		h.SkipVerify, h.Scheme = true, registry.ProbeScheme(ctx, n)
		hosts[n] = h
	}
	return hosts, nil
}

// usualConfigs are the files that BuildKit and podman have for how registries are reached. What a later one says
// about a registry counts.
func usualConfigs() []string {
	config := configHome()
	files := []string{"/etc/buildkit/buildkitd.toml", filepath.Join(config, "buildkit/buildkitd.toml"), "/etc/containers/registries.conf"}
	if named := os.Getenv("CONTAINERS_REGISTRIES_CONF"); named != "" {
		return append(files, named)
	}
	return append(files, filepath.Join(config, "containers/registries.conf"))
}

// certificateDirs are the directories in which docker and podman keep the certificates of registries.
func certificateDirs() []string {
	config := configHome()
	return []string{
		"/etc/docker/certs.d", "/etc/containers/certs.d", filepath.Join(config, "docker/certs.d"), filepath.Join(config, "containers/certs.d"),
	}
}

// configHome is where the user's configuration is.
func configHome() string {
	return first(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(os.Getenv("HOME"), ".config"))
}

// outside runs programs as the user, and not in the namespaces of this process.
func outside(host *sandbox.Host) registry.Runner {
	return func(ctx context.Context, command []string, stdin io.Reader, stdout, stderr io.Writer) error {
		if _, err := exec.LookPath(command[0]); err != nil {
			return err
		}
		return host.Outside(ctx, sandbox.Program{Args: command, Stdin: stdin, Stdout: stdout, Stderr: stderr})
	}
}

// createRepositories makes sure that the repositories exist that outputs push to: --create-repo.
func (b *build) createRepositories(ctx context.Context) error {
	for _, out := range b.outputs {
		if out.registry == nil {
			continue
		}
		for _, r := range out.registry.Repositories() {
			created, err := cloud.CreateRepository(ctx, r.RegistryStr(), r.RepositoryStr())
			switch {
			case errors.Is(err, cloud.ErrNotAmazon):
				continue
			case err != nil:
				return err
			case created:
				b.notice(fmt.Sprintf("created the repository %s", r.Name()))
			}
		}
	}
	return nil
}

// warnImmutable says of tags that exist, and cannot be moved, that only the same image can be pushed there.
func (b *build) warnImmutable(ctx context.Context, r name.Repository, tags []string) {
	immutable, err := cloud.ImmutableTags(ctx, r.RegistryStr(), r.RepositoryStr())
	if err != nil || !immutable {
		return // it need not be allowed to ask; the push will tell
	}
	for _, tag := range slices.Compact(tags) {
		if _, err := b.client.Manifest(ctx, r.Tag(tag)); err == nil {
			b.notice(fmt.Sprintf("%s:%s exists and the tags of this repository cannot be moved: the push succeeds only if the image is the same", r.Name(), tag))
		}
	}
}

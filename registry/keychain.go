package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// NewKeychain returns the credentials of the files that docker, podman and their kin keep, most important
// first:
//
//   - what is in $DOCKER_AUTH_CONFIG, in the form of config.json
//   - $REGISTRY_AUTH_FILE
//   - config.json in $DOCKER_CONFIG or else in $HOME/.docker
//   - containers/auth.json in $XDG_RUNTIME_DIR
//   - containers/auth.json in $XDG_CONFIG_HOME or else in $HOME/.config
//
// and after them those of more. Within a file the longest key that is a prefix of the repository counts;
// its credential helpers come before what it holds itself. getenv looks up a variable, and run runs
// helpers. Only a file that $REGISTRY_AUTH_FILE names must be there and readable.
func NewKeychain(getenv func(string) string, run Runner, more ...authn.Keychain) (authn.Keychain, error) { //nolint:ireturn // one of any kind
	var all []authn.Keychain
	if text := getenv("DOCKER_AUTH_CONFIG"); text != "" {
		f, err := parseAuthFile([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("reading $DOCKER_AUTH_CONFIG: %w", err)
		}
		f.run = run
		all = append(all, f)
	}
	named := getenv("REGISTRY_AUTH_FILE")
	for _, path := range append([]string{named}, authPaths(getenv)...) {
		if path == "" {
			continue
		}
		f, err := readAuthFile(path)
		if path != named && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.run = run
		all = append(all, f)
	}
	return authn.NewMultiKeychain(append(all, more...)...), nil
}

// authPaths are the places where credentials are looked for without being told.
func authPaths(getenv func(string) string) []string {
	var paths []string
	home := getenv("HOME")
	below := func(dir string, more ...string) {
		if dir != "" {
			paths = append(paths, filepath.Join(append([]string{dir}, more...)...))
		}
	}
	if dir := getenv("DOCKER_CONFIG"); dir != "" {
		below(dir, "config.json")
	} else {
		below(home, ".docker", "config.json")
	}
	below(getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if dir := getenv("XDG_CONFIG_HOME"); dir != "" {
		below(dir, "containers", "auth.json")
	} else {
		below(home, ".config", "containers", "auth.json")
	}
	return paths
}

// authFile is the part of config.json, or auth.json, that is about credentials.
type authFile struct {
	Auths       map[string]authEntry `json:"auths"`
	CredHelpers map[string]string    `json:"credHelpers"`
	CredsStore  string               `json:"credsStore"`

	run Runner
}

type authEntry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

func readAuthFile(path string) (*authFile, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	f, err := parseAuthFile(content)
	if err != nil {
		return nil, fmt.Errorf("reading credentials in %s: %w", path, err)
	}
	return f, nil
}

// parseAuthFile reads config.json. Its errors quote nothing of it.
func parseAuthFile(content []byte) (*authFile, error) {
	f := &authFile{}
	if len(strings.TrimSpace(string(content))) == 0 {
		return f, nil
	}
	if err := json.Unmarshal(content, f); err != nil {
		return nil, errors.New("it is not the JSON of a docker configuration")
	}
	for key, e := range f.Auths {
		if e.Auth == "" {
			continue
		}
		decoded, err := base64.StdEncoding.DecodeString(padded(e.Auth))
		user, password, ok := strings.Cut(string(decoded), ":")
		if err != nil || !ok {
			return nil, fmt.Errorf("the auth of %s is not user:password in base64", key)
		}
		e.Username, e.Password = user, strings.TrimRight(password, "\x00")
		f.Auths[key] = e
	}
	return f, nil
}

// padded completes base64 that lacks its padding.
func padded(s string) string {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	return s + strings.Repeat("=", (4-len(s)%4)%4)
}

// Resolve implements authn.Keychain.
func (f *authFile) Resolve(r authn.Resource) (authn.Authenticator, error) { //nolint:ireturn // the interface
	return f.ResolveContext(context.Background(), r) //nolint:forbidigo // the interface has no context
}

// ResolveContext implements authn.ContextKeychain.
func (f *authFile) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) { //nolint:ireturn // the interface
	found, err := f.find(ctx, r)
	if err != nil || found == (authn.AuthConfig{}) {
		return authn.Anonymous, err
	}
	return authn.FromConfig(found), nil
}

// find returns the credentials for r. They may be empty.
func (f *authFile) find(ctx context.Context, r authn.Resource) (authn.AuthConfig, error) {
	for _, key := range credentialKeys(r) {
		for server, name := range f.CredHelpers {
			if credentialKey(server) != key {
				continue
			}
			if found, err := (helper{name, f.run}).get(ctx, server); err != nil || found != (authn.AuthConfig{}) {
				return found, err
			}
		}
		for server, e := range f.Auths {
			if credentialKey(server) == key && e != (authEntry{}) {
				return e.credentials(), nil
			}
		}
	}
	if f.CredsStore == "" {
		return authn.AuthConfig{}, nil
	}
	found, err := helper{f.CredsStore, f.run}.get(ctx, serverAddress(r))
	if errors.Is(err, errNoHelper) {
		return authn.AuthConfig{}, nil // a configuration brought along from another machine
	}
	return found, err
}

func (e authEntry) credentials() authn.AuthConfig {
	return authn.AuthConfig{
		Username: e.Username, Password: e.Password,
		IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken,
	}
}

// credentialKey is the common form of a key: no scheme, no version of the protocol, one name for Docker Hub.
func credentialKey(key string) string {
	for _, scheme := range []string{"https://", "http://"} {
		key = strings.TrimPrefix(key, scheme)
	}
	key = strings.Trim(key, "/")
	for _, version := range []string{"/v1", "/v2"} {
		key = strings.TrimSuffix(key, version)
	}
	server, rest, scoped := strings.Cut(key, "/")
	if !scoped {
		return hostName(server)
	}
	return hostName(server) + "/" + rest
}

// credentialKeys are the keys that fit r, longest first.
func credentialKeys(r authn.Resource) []string {
	var keys []string
	for key := credentialKey(r.String()); ; {
		keys = append(keys, key)
		i := strings.LastIndexByte(key, '/')
		if i < 0 {
			return keys
		}
		key = key[:i]
	}
}

// serverAddress is what a credential store calls the registry of r.
func serverAddress(r authn.Resource) string {
	if hostName(r.RegistryStr()) == hubName {
		return authn.DefaultAuthKey
	}
	return r.RegistryStr()
}

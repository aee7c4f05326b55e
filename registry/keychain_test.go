package registry

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// files writes files below a new directory, which it returns.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range content {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func auths(keyUser ...string) string {
	text := ""
	for i := 0; i < len(keyUser); i += 2 {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(`%q:{"auth":%q}`, keyUser[i], base64.StdEncoding.EncodeToString([]byte(keyUser[i+1]+":p:w")))
	}
	return `{"auths":{` + text + `}}`
}

// userFor returns the user that a keychain finds for a repository, or what else it finds.
func userFor(t *testing.T, k authn.Keychain, repository string) string {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	found, err := authn.Resolve(t.Context(), k, repo)
	if err != nil {
		return "error: " + err.Error()
	}
	a, err := found.Authorization()
	if err != nil {
		t.Fatal(err)
	}
	if a.Username != "" && a.Password != "p:w" {
		t.Errorf("the password is %q", a.Password)
	}
	return a.Username + a.IdentityToken + a.RegistryToken
}

func newKeychain(t *testing.T, env map[string]string, more ...authn.Keychain) authn.Keychain {
	t.Helper()
	k, err := NewKeychain(func(name string) string { return env[name] }, Run, more...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The longest key that fits wins, whatever form it has.
func TestKeychainKeys(t *testing.T) {
	home := files(t, map[string]string{".docker/config.json": auths(
		"https://index.docker.io/v1/", "hub", "quay.io", "quay", "quay.io/org-a", "org-a", "quay.io/org-a/app", "app",
		"https://registry.example.com:5000/v2/", "versioned", "http://plain.example.com", "plain",
	)})
	k := newKeychain(t, map[string]string{"HOME": home})
	for repository, want := range map[string]string{
		"alpine": "hub", "docker.io/me/app": "hub", "quay.io/other/app": "quay", "quay.io/org-a/other": "org-a", "quay.io/org-a/app": "app",
		"quay.io/org-a/app/sub": "app", "quay.io/org-ab/app": "quay", "registry.example.com:5000/x": "versioned", "registry.example.com/x": "",
		"plain.example.com/x": "plain", "quay.io.evil.com/org-a/app": "",
	} {
		if got := userFor(t, k, repository); got != want {
			t.Errorf("%s: got %q, want %q", repository, got, want)
		}
	}
}

// The files come in the order that the documentation says.
func TestKeychainOrder(t *testing.T) {
	dir := files(t, map[string]string{
		"named": auths("r.io", "named"), "docker/config.json": auths("r.io", "docker"), "home/.docker/config.json": auths("r.io", "home"),
		"run/containers/auth.json": auths("r.io", "run"), "home/.config/containers/auth.json": auths("r.io", "config"),
		"xdg/containers/auth.json": auths("r.io", "xdg"),
	})
	at := func(p string) string { return filepath.Join(dir, p) }
	env := map[string]string{
		"DOCKER_AUTH_CONFIG": auths("r.io", "variable"), "REGISTRY_AUTH_FILE": at("named"), "DOCKER_CONFIG": at("docker"),
		"HOME": at("home"), "XDG_RUNTIME_DIR": at("run"), "XDG_CONFIG_HOME": at("xdg"),
	}
	for _, step := range []struct{ want, remove string }{
		{"variable", "DOCKER_AUTH_CONFIG"},
		{"named", "REGISTRY_AUTH_FILE"},
		{"docker", "DOCKER_CONFIG"},
		{"home", "home/.docker"},
		{"run", "XDG_RUNTIME_DIR"},
		{"xdg", "XDG_CONFIG_HOME"},
		{"config", "HOME"},
		{"more", ""},
	} {
		more := credentials{"r.io": {Username: "more", Password: "p:w"}}
		if got := userFor(t, newKeychain(t, env, more), "r.io/app"); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
		delete(env, step.remove)
		if err := os.RemoveAll(at(step.remove)); step.remove == "home/.docker" && err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeychainErrors(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"DOCKER_AUTH_CONFIG": "{secret"}, "reading $DOCKER_AUTH_CONFIG: it is not the JSON"},
		{map[string]string{"REGISTRY_AUTH_FILE": "/does/not/exist"}, "reading credentials: open /does/not/exist"},
		{map[string]string{"DOCKER_AUTH_CONFIG": `{"auths":{"r.io":{"auth":"c2VjcmV0"}}}`}, "the auth of r.io is not user:password"},
		{map[string]string{"DOCKER_AUTH_CONFIG": `{"auths":{"r.io":{"auth":"%%%"}}}`}, "the auth of r.io is not user:password"},
	} {
		_, err := NewKeychain(func(name string) string { return c.env[name] }, Run)
		wantError(t, err, c.want)
	}
	empty := files(t, map[string]string{".docker/config.json": " \n"})
	if got := userFor(t, newKeychain(t, map[string]string{"HOME": empty}), "r.io/app"); got != "" {
		t.Errorf("got %q", got)
	}
}

// Credential helpers are run as docker runs them.
func TestCredentialHelpers(t *testing.T) {
	bin := files(t, map[string]string{
		"docker-credential-good":  "#!/bin/sh\nread server\necho '{\"ServerURL\":\"'$server'\",\"Username\":\"'$1-$server'\",\"Secret\":\"p:w\"}'\n",
		"docker-credential-token": "#!/bin/sh\necho '{\"Username\":\"<token>\",\"Secret\":\"identity\"}'\n",
		"docker-credential-none":  "#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1\n",
		"docker-credential-bad":   "#!/bin/sh\necho 'the agent is locked' >&2\nexit 3\n",
		"docker-credential-noise": "#!/bin/sh\necho hello\n",
	})
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for _, c := range []struct{ config, repository, want string }{
		{`{"credHelpers":{"r.io":"good"}}`, "r.io/app", "get-r.io"},
		{`{"credHelpers":{"r.io":"token"}}`, "r.io/app", "identity"},
		{`{"credHelpers":{"r.io":"none"},"auths":{"r.io":{"username":"own","password":"p:w"}}}`, "r.io/app", "own"},
		{`{"credHelpers":{"r.io":"good"},"auths":{"r.io":{"username":"own","password":"p:w"}}}`, "r.io/app", "get-r.io"},
		{`{"credHelpers":{"other.io":"bad"},"credsStore":"good"}`, "r.io/app", "get-r.io"},
		{`{"credsStore":"good"}`, "alpine", "get-https://index.docker.io/v1/"},
		{`{"credsStore":"absent"}`, "r.io/app", ""},
		{`{"credsStore":"bad"}`, "r.io/app", "error: running docker-credential-bad: exit status 3: the agent is locked"},
		{`{"credHelpers":{"r.io":"absent"}}`, "r.io/app", "error: running docker-credential-absent: it is not installed"},
		{`{"credHelpers":{"r.io":"../good"}}`, "r.io/app", `error: "../good" is not the name of a credential helper`},
		{`{"credHelpers":{"r.io":"noise"}}`, "r.io/app", "error: running docker-credential-noise: its answer is not the JSON of credentials"},
	} {
		k := newKeychain(t, map[string]string{"DOCKER_AUTH_CONFIG": c.config})
		if got := userFor(t, k, c.repository); got != c.want {
			t.Errorf("%s: got %q, want %q", c.config, got, c.want)
		}
	}
}

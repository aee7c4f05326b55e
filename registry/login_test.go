package registry

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

func registryOf(t *testing.T, host string) name.Registry {
	t.Helper()
	r, err := name.NewRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is kept is found again, and what else is in the file stays.
func TestAuthFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "docker", "config.json")
	f := AuthFile{Path: path, Run: Run}
	if _, err := f.Erase(t.Context(), registryOf(t, "r.io")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	for _, host := range []string{"r.io", "docker.io", "other.io:5000"} {
		if place, err := f.Store(t.Context(), registryOf(t, host), "user-"+host[:2], "p:w"); err != nil || place != path {
			t.Fatalf("got %s, %v", place, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	k := newKeychain(t, map[string]string{"REGISTRY_AUTH_FILE": path})
	for repository, want := range map[string]string{"r.io/app": "user-r.", "alpine": "user-do", "other.io:5000/x": "user-ot"} {
		if got := userFor(t, k, repository); got != want {
			t.Errorf("%s: got %q, want %q", repository, got, want)
		}
	}
	if _, err := f.Erase(t.Context(), registryOf(t, "r.io")); err != nil {
		t.Fatal(err)
	}
	if got := userFor(t, newKeychain(t, map[string]string{"REGISTRY_AUTH_FILE": path}), "r.io/app"); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestAuthFileKeepsTheRest(t *testing.T) {
	dir := files(t, map[string]string{
		"config.json":                `{"psFormat":"x","credHelpers":{"helped.io":"keeper"},"auths":{"a.io":{"auth":"dTpw"}}}`,
		"docker-credential-keeper":   "#!/bin/sh\ncat > $(dirname $0)/said-$1\n",
		"docker-credential-unwanted": "#!/bin/sh\nexit 1\n",
	})
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	f := AuthFile{Path: filepath.Join(dir, "config.json"), Run: Run}
	if _, err := f.Store(t.Context(), registryOf(t, "b.io"), "u", "p"); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(f.Path)
	for _, want := range []string{`"psFormat": "x"`, `"helped.io": "keeper"`, `"dTpw"`, `"b.io"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if place, err := f.Store(t.Context(), registryOf(t, "helped.io"), "u", "p"); err != nil || place != "docker-credential-keeper" {
		t.Errorf("got %s, %v", place, err)
	}
	if _, err := f.Erase(t.Context(), registryOf(t, "helped.io")); err != nil {
		t.Error(err)
	}
	said, _ := os.ReadFile(filepath.Join(dir, "said-store"))
	erased, _ := os.ReadFile(filepath.Join(dir, "said-erase"))
	if string(said) != `{"ServerURL":"helped.io","Username":"u","Secret":"p"}` || string(erased) != "helped.io" {
		t.Errorf("the helper was told %q and %q", said, erased)
	}
}

func TestPing(t *testing.T) {
	r := newRegistry(t, nil)
	r.on(http.MethodGet, "/v2/", always, func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user == "u" && password == "p" {
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	for password, want := range map[string]bool{"p": true, "wrong": false} {
		c := impatient()
		c.Keychain = credentials{r.host: authn.AuthConfig{Username: "u", Password: password}}
		if err := newClient(t, c).Ping(t.Context(), registryOf(t, r.host)); (err == nil) != want {
			t.Errorf("%s: got %v", password, err)
		}
	}
}

package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seed-298d225e/builder/wholefile"
)

// Ping finds out whether a registry takes the credentials that there are for it.
func (c *Client) Ping(ctx context.Context, registry name.Registry) error {
	h, err := c.host(registry.RegistryStr(), "")
	if err != nil {
		return err
	}
	e := c.endpoint(h, "", pull)
	e.access.scopes = nil
	resp, err := e.do(ctx, request{method: http.MethodGet, url: h.url(), accept: []int{http.StatusOK}})
	if err != nil {
		return fmt.Errorf("logging in to %s: %w", hostName(h.name), err)
	}
	resp.Body.Close()
	return nil
}

// AuthFile is a file in the form of docker's config.json. It may name a helper that keeps the secrets themselves.
type AuthFile struct {
	Path string
	Run  Runner
}

// Store keeps credentials for a registry, and returns where: the path or the name of a helper.
func (f AuthFile) Store(ctx context.Context, registry name.Registry, user, secret string) (string, error) {
	place, err := f.change(registry, func(h helper, server string) error {
		return h.store(ctx, server, user, secret)
	}, func(auths map[string]json.RawMessage, server string) error {
		entry, err := json.Marshal(map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))})
		auths[server] = entry
		return err
	})
	if err != nil {
		return "", fmt.Errorf("keeping the credentials for %s: %w", registry, err)
	}
	return place, nil
}

// Erase forgets the credentials for a registry, and returns where they were.
func (f AuthFile) Erase(ctx context.Context, registry name.Registry) (string, error) {
	place, err := f.change(registry, func(h helper, server string) error {
		return h.erase(ctx, server)
	}, func(auths map[string]json.RawMessage, server string) error {
		if _, ok := auths[server]; !ok {
			return fmt.Errorf("%s has none: %w", f.Path, fs.ErrNotExist)
		}
		delete(auths, server)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("forgetting the credentials for %s: %w", registry, err)
	}
	return place, nil
}

// change has the helper that is responsible for a registry do something, or else changes the entries of the file.
func (f AuthFile) change(registry name.Registry, ask func(helper, string) error, edit func(map[string]json.RawMessage, string) error) (string, error) {
	file := map[string]json.RawMessage{}
	text, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &file); err != nil {
			return "", fmt.Errorf("%s is not the JSON of a docker configuration", f.Path)
		}
	}
	server := serverAddress(resource{registry: hostName(registry.RegistryStr())})
	known, err := parseAuthFile(text)
	if err != nil {
		return "", err
	}
	if name := known.helperFor(server); name != "" {
		return "docker-credential-" + name, ask(helper{name, f.Run}, server)
	}
	auths := map[string]json.RawMessage{}
	if file["auths"] != nil {
		if err := json.Unmarshal(file["auths"], &auths); err != nil {
			return "", err
		}
	}
	if err := edit(auths, server); err != nil {
		return "", err
	}
	if file["auths"], err = json.Marshal(auths); err != nil {
		return "", err
	}
	return f.Path, f.write(file)
}

// helperFor is the helper that keeps the credentials of a server, empty if none does.
func (f *authFile) helperFor(server string) string {
	for key, name := range f.CredHelpers {
		if credentialKey(key) == credentialKey(server) {
			return name
		}
	}
	return f.CredsStore
}

// write replaces the file, which only its owner can read.
func (f AuthFile) write(file map[string]json.RawMessage) error {
	text, err := json.MarshalIndent(file, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return err
	}
	return wholefile.Write(f.Path, 0o600, append(text, '\n'))
}

package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What credentials there are is told by name; their values are not.
func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	config := `{"auths":{"ghcr.io":{"auth":"dXNlcjpodW50ZXIy"}},"credHelpers":{"ecr.example":"ecr-login"},"credsStore":"pass"}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"DOCKER_CONFIG": dir, "HOME": dir, "DOCKER_AUTH_CONFIG": "{"}
	got := Places(func(name string) string { return env[name] })
	if len(got) != 3 {
		t.Fatalf("got %d places, want 3: %+v", len(got), got)
	}
	if got[0].Name != "$DOCKER_AUTH_CONFIG" || got[0].Err == nil {
		t.Errorf("got %+v, want the variable with an error", got[0])
	}
	docker := got[1]
	if docker.Err != nil || !slices.Equal(docker.Servers, []string{"ghcr.io"}) ||
		docker.Helpers["ecr.example"] != "docker-credential-ecr-login" || docker.Helpers[""] != "docker-credential-pass" {
		t.Errorf("got %+v", docker)
	}
	if !errors.Is(got[2].Err, fs.ErrNotExist) {
		t.Errorf("got %v for a missing file", got[2].Err)
	}
	if text := fmt.Sprintf("%+v", got); strings.Contains(text, "hunter2") || strings.Contains(text, "dXNlcjp") {
		t.Errorf("a password is told: %s", text)
	}
}

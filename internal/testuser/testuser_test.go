package testuser

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestMain(m *testing.M) {
	os.Exit(Run(m, func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "prepared"), []byte("yes"), 0o600)
	}))
}

// Whoever has started the tests, they are run by a user who is not root, and who owns what was prepared.
func TestRunsAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Error("the tests are run by root")
	}
	if got, err := os.ReadFile(filepath.Join(Dir(), "prepared")); string(got) != "yes" {
		t.Errorf("what was prepared is %q, %v", got, err)
	}
	if err := os.Mkdir(filepath.Join(Dir(), "new"), 0o700); err != nil {
		t.Error(err)
	}
	if err := checkRange(); err != nil {
		t.Error(err)
	}
}

// What a CI system sets does not reach the tests: they find the same everywhere.
func TestEnvironmentIsCleared(t *testing.T) {
	t.Setenv("CI", "true")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("GOFLAGS", "-mod=readonly")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	if err := clearEnvironment(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"CI": false, "AWS_SECRET_ACCESS_KEY": false, "GOFLAGS": true, "HTTPS_PROXY": true, "PATH": true, "HOME": true,
		dirVariable: true,
	} {
		if _, got := os.LookupEnv(name); got != want {
			t.Errorf("%s is set: %t, want %t", name, got, want)
		}
	}
}

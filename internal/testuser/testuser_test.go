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

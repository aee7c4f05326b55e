//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestComplaint(t *testing.T) {
	for text, want := range map[string]string{
		"": "git: ",
		"fatal: your current branch 'main' does not have any commits yet\n": "git: your current branch 'main' does not have any commits yet",
		"fatal: detected dubious ownership in repository at '/src'\nTo add an exception for this directory, call:\n\n" +
			"\tgit config --global --add safe.directory /src\n": "git: detected dubious ownership in repository at '/src'; " +
			"to allow it: git config --global --add safe.directory /src",
	} {
		if got := complaint(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestInRepository(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	if inRepository(sub) {
		t.Errorf("%s is in a repository already", sub)
	}
	if err := os.WriteFile(filepath.Join(dir, ".git"), nil, 0o600); err != nil { // as in a worktree
		t.Fatal(err)
	}
	if !inRepository(sub) {
		t.Errorf("the repository %s is not found", dir)
	}
}

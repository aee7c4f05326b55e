//go:build linux

package main

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// revision returns which commit of which repository a directory is, as far as git can tell: nothing if there is
// no git, no repository or no commit. The commit of a directory with changes ends in -dirty, as with buildx.
func revision(ctx context.Context, dir string) (source, commit string) {
	commit, err := askGit(ctx, dir, "rev-parse", "HEAD")
	if err != nil {
		return "", ""
	}
	if changes, err := askGit(ctx, dir, "status", "--porcelain", "--untracked-files=no"); err != nil || changes != "" {
		commit += "-dirty"
	}
	source, _ = askGit(ctx, dir, "remote", "get-url", "origin")
	return withoutCredentials(source), commit
}

// askGit asks git about the repository that a directory is in. A repository of somebody else is not looked at,
// unless git's configuration says that it is safe.
func askGit(ctx context.Context, dir string, args ...string) (answer string, err error) {
	args = append([]string{"-C", dir, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"}, args...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(gitEnvironment(), "HOME="+os.Getenv("HOME"), "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = errors.New(complaint(string(failed.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

// complaint is what git says on its standard error, on one line. Of a repository of somebody else it says how to have
// it looked at all the same.
func complaint(text string) string {
	text = strings.TrimPrefix(strings.Join(strings.Fields(text), " "), "fatal: ")
	return "git: " + strings.Replace(text, " To add an exception for this directory, call: ", "; to allow it: ", 1)
}

// inRepository reports whether dir is in a working tree of git.
func inRepository(dir string) bool {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
	return false
}

// withoutCredentials returns an address without what may be credentials.
func withoutCredentials(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		if strings.Contains(address, "://") {
			return ""
		}
		return address // as scp has it: there is no place for a password
	}
	switch {
	case u.User != nil && u.Scheme == "ssh":
		u.User = url.User(u.User.Username()) // which is part of the address
	case u.User != nil:
		u.User = nil
	}
	return u.String()
}

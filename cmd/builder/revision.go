//go:build linux

package main

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"strings"
)

// revision returns which commit of which repository a directory is, as far as git can tell: nothing if there is
// no git, no repository or no commit. The commit of a directory with changes ends in -dirty, as with buildx.
func revision(ctx context.Context, dir string) (source, commit string) {
	commit, ok := askGit(ctx, dir, "rev-parse", "HEAD")
	if !ok {
		return "", ""
	}
	if changes, ok := askGit(ctx, dir, "status", "--porcelain", "--untracked-files=no"); !ok || changes != "" {
		commit += "-dirty"
	}
	source, _ = askGit(ctx, dir, "remote", "get-url", "origin")
	return withoutCredentials(source), commit
}

// askGit asks git about the repository that a directory is in. A repository of somebody else is not looked at.
func askGit(ctx context.Context, dir string, args ...string) (answer string, ok bool) {
	args = append([]string{"-C", dir, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"}, args...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(gitEnvironment(), "HOME="+os.Getenv("HOME"), "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err == nil
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

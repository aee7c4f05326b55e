//go:build linux

package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/seed-298d225e/builder/httpclient"
)

// Git brings commits of repositories into directories. It runs the program git, with a configuration and an
// environment of its own: what the user or the system have configured has no effect. Its fields are set before
// it is used and not changed then; it may be used by several goroutines, and several processes may share a
// directory.
type Git struct {
	// Dir is the absolute path of a directory that is kept between builds.
	Dir string
	// Program is git's absolute path, or its name on the PATH of this process; "git" if it is empty. It must be
	// of version 2.31 or later.
	Program string
	// Env holds NAME=value pairs for git: PATH, and the variables that name proxies.
	Env []string
	// Protocols are those that repositories may be fetched by: nil means https, http, ssh and git. With file
	// repositories of this machine can be used, though never as submodules.
	Protocols []string
	// CAFile, if not empty, holds the certificates to trust instead of those of the system.
	CAFile string
	// KnownHosts is the file with the keys of ssh servers. If it is empty the key of a server is believed the
	// first time, and remembered.
	KnownHosts string
	// Timeout bounds one conversation with a server; 0 means 30 minutes.
	Timeout time.Duration
	Retry   httpclient.Retry
	// MaxSize is the size of the largest file that git may write, in bytes; 0 means 8 GiB.
	MaxSize int64
	// Secret returns the value of a secret; one that was not given is fs.ErrNotExist. Asked for are
	// GIT_AUTH_HEADER and GIT_AUTH_TOKEN, first with "." and the host. A nil Secret gives none.
	Secret func(id string) ([]byte, error)
	// Agent returns the path of the socket of an SSH agent; one that was not given is fs.ErrNotExist. Asked
	// for is "default". A nil Agent gives none.
	Agent func(id string) (string, error)
	// Progress, if not nil, is told how many bytes of a repository have come. The total is 0 until all have.
	Progress func(what string, current, total int64)

	shelf shelf

	mu sync.Mutex
	// program is git's path, once it is known to be there and new enough.
	program string
}

// Commit is a commit of a repository.
type Commit struct {
	// Remote is the address of the repository. It may hold credentials.
	Remote string
	// Ref is what the commit was found by: a branch, a tag, a commit, or "" for the default branch. It is
	// only needed where a server does not give out commits by their name.
	Ref string
	// ID is the full name of the commit: 40 hexadecimal digits, or 64 in a repository that uses SHA-256.
	ID string
}

const (
	defaultGitTimeout = 30 * time.Minute
	defaultGitMaxSize = 8 << 30
)

// Resolve returns what ref is now: a branch, a tag, or any other ref; "" and HEAD are the default branch. A full
// name of a commit stands for itself, without asking.
func (g *Git) Resolve(ctx context.Context, address, ref string) (Revision, error) {
	if isCommit(ref) {
		return Revision{Commit: ref}, nil
	}
	r, err := parseRemote(address, g.protocols())
	if err != nil {
		return Revision{}, err
	}
	rev, err := g.resolve(ctx, r, ref)
	if err != nil {
		return Revision{}, fmt.Errorf("looking up %s: %w", r.url, err)
	}
	return rev, nil
}

func (g *Git) resolve(ctx context.Context, r remote, ref string) (Revision, error) {
	if ref == "" || ref == "HEAD" {
		out, err := g.listRefs(ctx, r, "--symref", "--", r.url, "HEAD")
		if err != nil {
			return Revision{}, err
		}
		if rev, ok := parseHead(out); ok {
			return rev, nil
		}
		return Revision{}, errors.New("the repository has no default branch")
	}
	if err := checkRef(ref); err != nil {
		return Revision{}, err
	}
	out, err := g.listRefs(ctx, r, "--", r.url, ref, ref+"^{}")
	if err != nil {
		return Revision{}, err
	}
	if rev, ok := parseRefs(out, ref); ok {
		return rev, nil
	}
	return Revision{}, fmt.Errorf("the repository does not contain the ref %s", ref)
}

// listRefs runs ls-remote, outside of any repository.
func (g *Git) listRefs(ctx context.Context, r remote, args ...string) (string, error) {
	if err := g.shelf.open(g.Dir); err != nil {
		return "", err
	}
	env, err := g.remoteEnv(r, r)
	if err != nil {
		return "", err
	}
	c := command{gitDir: "/dev/null", env: env, args: append([]string{"ls-remote"}, args...)}
	for try := 1; ; try++ {
		out, err := g.output(ctx, c)
		if err == nil {
			return out, nil
		}
		if err := g.Retry.Wait(ctx, try, err); err != nil {
			return "", explain(err)
		}
	}
}

// CommitTime returns when a commit was committed. What is fetched for that is there when it is checked out.
func (g *Git) CommitTime(ctx context.Context, c Commit) (time.Time, error) {
	s, err := g.source(c)
	if err != nil {
		return time.Time{}, err
	}
	var at time.Time
	err = g.use(ctx, s, func(r *repository) error {
		at, err = r.commitTime(ctx, c.ID)
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time of commit %s of %s: %w", c.ID, s.remote.url, err)
	}
	return at, nil
}

func (r *repository) commitTime(ctx context.Context, commit string) (time.Time, error) {
	out, err := r.output(ctx, "log", "-1", "--no-show-signature", "--format=%ct", commit+"^{commit}")
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(out, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time %q", out)
	}
	return time.Unix(seconds, 0), nil
}

// Close lets go of all checkouts, which may be removed then.
func (g *Git) Close() { g.shelf.close() }

func (g *Git) protocols() []string {
	if g.Protocols == nil {
		return []string{"https", "http", "ssh", "git"}
	}
	return g.Protocols
}

// source is a commit together with the repository whose credentials it may be fetched with.
type source struct {
	remote, top remote
	ref, commit string
}

// source checks a commit that was asked for.
func (g *Git) source(c Commit) (source, error) {
	r, err := parseRemote(c.Remote, g.protocols())
	if err != nil {
		return source{}, err
	}
	if !isCommit(c.ID) {
		return source{}, fmt.Errorf("%q is not the full name of a commit", c.ID)
	}
	if c.Ref != "" && checkRef(c.Ref) != nil {
		return source{}, checkRef(c.Ref)
	}
	return source{remote: r, top: r, ref: c.Ref, commit: c.ID}, g.shelf.open(g.Dir)
}

// output runs git and returns what it writes, without white space around it.
func (g *Git) output(ctx context.Context, c command) (string, error) {
	out := &capped{left: maxOutput}
	c.stdout = out
	if err := g.run(ctx, c); err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(out.b)), nil
}

// submoduleProtocols are those that submodules may be fetched by.
func (g *Git) submoduleProtocols() []string {
	return slices.DeleteFunc(slices.Clone(g.protocols()), func(p string) bool { return p == "file" })
}

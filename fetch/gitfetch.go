//go:build linux

package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ensure fetches the commit of s, unless it is there.
func (r *repository) ensure(ctx context.Context, s source) error {
	if r.has(ctx, s.commit) {
		return nil
	}
	env, err := r.git.remoteEnv(s.remote, s.top)
	if err != nil {
		return err
	}
	for _, w := range waysTo(s) {
		if err = r.fetch(ctx, s, env, w); err == nil {
			err = r.mark(ctx, s.commit)
		}
		if err == nil || !unsupported(err) {
			return err
		}
	}
	return err
}

// way is one way to fetch a commit.
type way struct {
	// shallow leaves the history out.
	shallow  bool
	refspecs []string
}

// waysTo returns the ways to try, the cheapest first: the commit alone; what it was found by, in case the server
// does not give out commits; everything, in case it has moved on since, or the server cannot send less.
func waysTo(s source) []way {
	ways := []way{{true, []string{s.commit}}}
	if s.ref != "" && s.ref != s.commit {
		ways = append(ways, way{true, []string{s.ref}})
	}
	return append(ways, way{false, []string{"+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"}})
}

// options returns the arguments of git fetch for w. What has been fetched without its history gets it if
// everything is fetched.
func (r *repository) options(w way) []string {
	if w.shallow {
		return []string{"--depth=1"}
	}
	if _, err := os.Lstat(filepath.Join(r.dir, "shallow")); err == nil {
		return []string{"--prune", "--unshallow"}
	}
	return []string{"--prune"}
}

// errNotThere says that what was fetched does not have the commit.
var errNotThere = errors.New("the repository does not contain the commit")

// unsupported reports whether another way may lead to the commit.
func unsupported(err error) bool {
	g, ok := errors.AsType[*gitError](err)
	return errors.Is(err, errNotThere) || ok && g.says("not our ref", "unadvertised object", "shallow", "--depth",
		"couldn't find remote ref", "no such remote ref")
}

// fetch runs git fetch, and again when the network fails.
func (r *repository) fetch(ctx context.Context, s source, env environment, w way) error {
	args := append([]string{"fetch", "--progress", "--no-tags", "--no-write-fetch-head"}, r.options(w)...)
	args = append(append(args, "--", s.remote.url), w.refspecs...)
	var last int64
	tell := func(current, total int64) {
		last = current
		if r.git.Progress != nil {
			r.git.Progress(s.remote.url, current, total)
		}
	}
	c := command{gitDir: r.dir, env: env, args: args, progress: func(n int64) { tell(n, 0) }}
	for try := 1; ; try++ {
		_, err := r.git.output(ctx, c)
		if err == nil {
			tell(last, last)
			return nil
		}
		if err := r.git.Retry.Wait(ctx, try, err); err != nil {
			return explain(err)
		}
		if err := r.tidy(); err != nil {
			return err
		}
	}
}

// mark notes that a commit that git fetch has brought, or has found to be there, is complete.
func (r *repository) mark(ctx context.Context, commit string) error {
	_, err := r.output(ctx, "rev-parse", "--quiet", "--verify", commit+"^{commit}")
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w %s", errNotThere, commit)
	}
	_, err = r.output(ctx, "update-ref", commitRef(commit), commit)
	return err
}

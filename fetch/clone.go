//go:build linux

package fetch

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
)

// clone writes the files of a commit and a repository, .git, whose history is that commit. Its HEAD is the
// commit itself; what the commit was found by is there too. It knows where it comes from, but not with which
// credentials.
func (w workTree) clone(ctx context.Context, r *repository, s source) error {
	rev, err := w.git.stillThere(ctx, s)
	if err != nil {
		return err
	}
	refspec := commitRef(s.commit)
	if rev.Tag != "" {
		if err := r.ensureTag(ctx, s, rev); err != nil {
			return err
		}
		refspec = commitRef(rev.Tag)
	}
	if rev.Ref != "" {
		refspec += ":" + rev.Ref
	}
	for _, args := range [][]string{
		append([]string{"init", "--quiet"}, objectFormat(s.commit)...),
		{"remote", "add", "origin", s.remote.url},
		{
			"fetch", "--quiet", "--depth=1", "--no-tags", "--update-head-ok", "--no-write-fetch-head",
			"--", fileURL(r.dir), refspec,
		},
		{"checkout", "--quiet", "--detach", s.commit},
	} {
		if err := w.run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// run runs git in a work tree with a repository of its own. It may fetch from this machine.
func (w workTree) run(ctx context.Context, args ...string) error {
	_, err := w.git.output(ctx, command{
		gitDir: filepath.Join(w.dir, ".git"), workTree: w.dir, args: args,
		env: environment{vars: []string{"GIT_ALLOW_PROTOCOL=file"}},
	})
	return err
}

// stillThere returns what the ref of s is, if it still stands for the commit.
func (g *Git) stillThere(ctx context.Context, s source) (Revision, error) {
	if isCommit(s.ref) {
		return Revision{}, nil
	}
	rev, err := g.resolve(ctx, s.remote, s.ref)
	if _, failed := errors.AsType[*gitError](err); failed || ctx.Err() != nil {
		return Revision{}, err
	}
	if err != nil || rev.Commit != s.commit || !strings.HasPrefix(rev.Ref, "refs/") {
		return Revision{}, nil //nolint:nilerr // it is gone
	}
	return rev, nil
}

// ensureTag fetches a tag object, unless it is there.
func (r *repository) ensureTag(ctx context.Context, s source, rev Revision) error {
	if r.has(ctx, rev.Tag) {
		return nil
	}
	env, err := r.git.remoteEnv(s.remote, s.top)
	if err != nil {
		return err
	}
	if err := r.fetch(ctx, s, env, way{true, []string{rev.Ref}}); err != nil {
		return err
	}
	return r.mark(ctx, rev.Tag)
}

// fileURL returns the address of a directory of this machine.
func fileURL(dir string) string { return (&url.URL{Scheme: "file", Path: dir}).String() }

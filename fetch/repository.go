//go:build linux

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-298d225e/builder/httpclient"
)

// repository is a bare repository that holds what was fetched from a remote, locked by who uses it. For every
// commit that is complete, with all that it needs, there is a ref refs/commits/ID; it has no branches and tags of
// its own, but those of the remote below refs/all if everything had to be fetched.
type repository struct {
	git  *Git
	dir  string
	lock *os.File
	// fresh: nothing in it is from before.
	fresh bool
}

// use calls do with the repository of s, which has the commit. A repository that turns out to be damaged is
// made anew once.
func (g *Git) use(ctx context.Context, s source, do func(*repository) error) error {
	r, err := g.openRepository(ctx, s)
	if err != nil {
		return err
	}
	defer r.lock.Close()
	err = r.with(ctx, s, do)
	if r.fresh || !damaged(err) || ctx.Err() != nil {
		return err
	}
	return r.anew(ctx, s, do, err)
}

func (r *repository) with(ctx context.Context, s source, do func(*repository) error) error {
	if err := r.ensure(ctx, s); err != nil {
		return err
	}
	return do(r)
}

// damaged reports whether err can come from a repository that is not as git left it.
func damaged(err error) bool {
	g, ok := errors.AsType[*gitError](err)
	return ok && !httpclient.Transient(g) && !g.says("No space left on device", "Authentication failed", "returned error: 4")
}

// anew tries with a new repository what failed with err. The old one stays if that fails too.
func (r *repository) anew(ctx context.Context, s source, do func(*repository) error, err error) error {
	d, draftErr := r.git.shelf.draft()
	if draftErr != nil {
		return err
	}
	defer d.drop()
	second := &repository{git: r.git, dir: d.path("repository"), fresh: true}
	if second.create(ctx, s) != nil || second.with(ctx, s, do) != nil {
		return err
	}
	if err := os.Rename(r.dir, d.path("damaged")); err != nil {
		return err
	}
	return os.Rename(second.dir, r.dir)
}

// openRepository locks the repository of s, and makes one if there is none.
func (g *Git) openRepository(ctx context.Context, s source) (*repository, error) {
	key := keyOf("repository", s.remote.url, fmt.Sprint(len(s.commit)))
	l, err := g.shelf.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	r := &repository{git: g, dir: g.shelf.path(repositoriesDir, key), lock: l}
	if err := r.open(ctx, s); err != nil {
		l.Close()
		return nil, err
	}
	return r, nil
}

func (r *repository) open(ctx context.Context, s source) error {
	if _, err := os.Lstat(r.dir); err == nil {
		now := time.Now()
		_ = os.Chtimes(r.dir, now, now) // when it was last used
		return r.tidy()
	}
	d, err := r.git.shelf.draft()
	if err != nil {
		return err
	}
	defer d.drop()
	made := &repository{git: r.git, dir: d.path("repository")}
	if err := made.create(ctx, s); err != nil {
		return err
	}
	r.fresh = true
	return os.Rename(made.dir, r.dir)
}

func (r *repository) create(ctx context.Context, s source) error {
	_, err := r.output(ctx, append([]string{"init", "--quiet", "--bare"}, objectFormat(s.commit)...)...)
	return err
}

// objectFormat returns the arguments of git init for a repository whose commits have such names.
func objectFormat(commit string) []string {
	if len(commit) == 64 {
		return []string{"--object-format=sha256"}
	}
	return nil
}

// tidy removes what a git that was killed has left behind; no other is at work now.
func (r *repository) tidy() error {
	return filepath.WalkDir(r.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		base := filepath.Base(name)
		if strings.HasSuffix(base, ".lock") || strings.HasPrefix(base, "tmp_") {
			return os.Remove(name)
		}
		return nil
	})
}

// output runs git in the repository, without a network.
func (r *repository) output(ctx context.Context, args ...string) (string, error) {
	return r.git.output(ctx, command{gitDir: r.dir, env: localEnv(), args: args})
}

// has reports whether a commit is there, with all that it needs.
func (r *repository) has(ctx context.Context, commit string) bool {
	_, err := r.output(ctx, "rev-parse", "--quiet", "--verify", commitRef(commit)+"^{commit}")
	return err == nil
}

func commitRef(commit string) string { return "refs/commits/" + commit }

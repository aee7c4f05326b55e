//go:build linux

package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Checkout says what of a commit is wanted, and how.
type Checkout struct {
	Commit
	// Subdir, if not empty, is the directory of the repository that is wanted instead of all of it. It may be
	// in a submodule, but not behind a symbolic link.
	Subdir string
	// KeepGitDir adds .git, with the one commit as history. It means nothing together with Subdir.
	KeepGitDir bool
	// SkipSubmodules leaves the directories of submodules empty.
	SkipSubmodules bool
	// CommitTime gives everything the time of the commit instead of that of the checkout.
	CommitTime bool
}

// Checkout returns the absolute path of a directory that holds the files of a commit and nothing else. It
// belongs to g, is complete, stays until g is closed, and must not be changed. The second time nothing is
// fetched and nothing is written.
//
// Files have the modes 0644 and 0755, directories 0755, as git has them. What .gitattributes says about line
// ends holds; filters, such as that of Git LFS, are not run. Submodules are fetched by https, http, ssh or git
// only, whatever their repository is fetched by, at the commit that the repository names.
func (g *Git) Checkout(ctx context.Context, c Checkout) (string, error) {
	s, err := g.source(c.Commit)
	if err != nil {
		return "", err
	}
	c.Subdir = cleanPath(c.Subdir)
	c.KeepGitDir = c.KeepGitDir && c.Subdir == ""
	dir, err := g.shelf.made(ctx, c.entry(s), func(d *draft) error { return g.checkout(ctx, c, s, d) })
	if err != nil {
		return "", fmt.Errorf("checking out commit %s of %s: %w", c.ID, s.remote.url, err)
	}
	return dir, nil
}

// entry names the checkout by all that it depends on. Where the files come from is part of it, since submodules
// may be relative to that.
func (c Checkout) entry(s source) entry {
	ref := ""
	if c.KeepGitDir {
		ref = c.Ref
	}
	key := keyOf("checkout", s.remote.url, c.ID, c.Subdir, ref,
		fmt.Sprint(c.KeepGitDir), fmt.Sprint(c.SkipSubmodules), fmt.Sprint(c.CommitTime))
	return entry{key: key, boot: bootID()}
}

// checkout fills the tree of d.
func (g *Git) checkout(ctx context.Context, c Checkout, s source, d *draft) error {
	w := workTree{git: g, draft: d, dir: d.tree(), keepGitDir: c.KeepGitDir, skipSubmodules: c.SkipSubmodules}
	if c.Subdir != "" {
		w.dir = d.path("work")
		if err := os.Mkdir(w.dir, 0o755); err != nil {
			return err
		}
	}
	if err := w.fill(ctx, s, c.Subdir, 0); err != nil {
		return err
	}
	if c.Subdir != "" {
		err := errors.Join(os.Remove(d.tree()), os.Rename(filepath.Join(w.dir, c.Subdir), d.tree()))
		if err != nil {
			return err
		}
	}
	var at time.Time
	if c.CommitTime {
		var err error
		if at, err = g.CommitTime(ctx, c.Commit); err != nil {
			return err
		}
	}
	return settle(d.tree(), at)
}

// workTree is a directory that a commit is checked out to: that of the repository asked for, or of a submodule.
type workTree struct {
	git   *Git
	draft *draft
	dir   string

	keepGitDir, skipSubmodules bool
}

// fill checks the commit of s out to the directory, with its submodules; of the files only those in subdir.
func (w workTree) fill(ctx context.Context, s source, subdir string, depth int) error {
	var l *listing
	var known map[string]submodule
	err := w.git.use(ctx, s, func(r *repository) (err error) {
		if err := clearDir(w.dir); err != nil { // it may be the second time
			return err
		}
		if l, err = r.list(ctx, s.commit, subdir); err != nil {
			return err
		}
		if err := l.check(w.skipSubmodules); err != nil {
			return err
		}
		if known, err = r.submodules(ctx, s.commit, l); err != nil {
			return err
		}
		if w.keepGitDir {
			return w.clone(ctx, r, s)
		}
		return w.files(ctx, r, s.commit, l)
	})
	if err != nil || w.skipSubmodules || len(l.links) == 0 {
		return err
	}
	// The repository is unlocked now: submodules may lead back to it.
	return w.submodules(ctx, s, submodules{l, known, depth})
}

// clearDir removes everything in a directory.
func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return err
}

// files writes the files of a commit.
func (w workTree) files(ctx context.Context, r *repository, commit string, l *listing) error {
	if l.files == 0 {
		return nil
	}
	c := command{
		gitDir: r.dir, workTree: w.dir, index: w.draft.path("index-" + keyOf(w.dir)), env: localEnv(),
		args: []string{"read-tree", commit},
	}
	if _, err := r.git.output(ctx, c); err != nil {
		return err
	}
	c.args = []string{"checkout", "--quiet", "--force", "--", orDot(l.subdir)}
	_, err := r.git.output(ctx, c)
	return err
}

func orDot(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

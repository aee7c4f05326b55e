package frontend

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/seed-298d225e/builder/solver"
)

// add lowers ADD, whose sources can be files of the context, downloads and git repositories. Of the context
// archives are unpacked unless --unpack says otherwise, of downloads only if it says so.
func (s *state) add(ctx context.Context, c *instructions.AddCommand) error {
	t := &transfer{words: []string{"ADD"}, exclude: c.ExcludePatterns}
	if err := s.openTransfer(t, c.DestPath, c.Chown, c.Chmod, c.Link); err != nil {
		return err
	}
	if c.Checksum != "" && len(c.SourcePaths) != 1 {
		return errors.New("checksum can't be specified for multiple sources")
	}
	for _, p := range c.SourcePaths {
		if err := s.addSource(ctx, t, c, p); err != nil {
			return err
		}
	}
	return s.closeTransfer(t, c, c.String(), c.SourcesAndDest)
}

func (s *state) addSource(ctx context.Context, t *transfer, c *instructions.AddCommand, p string) error {
	tree, source, err := s.remoteSource(ctx, c, p, c.Checksum)
	if err != nil {
		return err
	}
	if tree != nil {
		t.add(tree, source, p)
		return nil
	}
	if c.Checksum != "" {
		return errors.New("checksum requires HTTP(S) or Git sources")
	}
	s.lintIgnored(c, "Add", p)
	if source, err = localSource(p, s.platform.OS); err != nil {
		return err
	}
	source.Unpack = c.Unpack == nil || *c.Unpack
	t.add(s.req.Context, source, p)
	return nil
}

// remoteSource returns where ADD gets p from if that is a git repository or a download, else nil.
func (l *lowerer) remoteSource(
	ctx context.Context, c *instructions.AddCommand, p, checksum string,
) (*solver.Vertex, solver.CopySource, error) {
	g, isGit, err := ParseGitRef(p)
	if err != nil {
		return nil, solver.CopySource{}, err
	}
	if isGit && !g.Ambiguous {
		tree, err := l.gitSource(ctx, c, g, checksum)
		return tree, solver.CopySource{Path: "/", Contents: true}, err
	}
	if !isURL(p) {
		return nil, solver.CopySource{}, nil
	}
	op := solver.HTTP{URL: p, Filename: urlFilename(p)}
	if checksum != "" {
		if op.Checksum, err = v1.NewHash(checksum); err != nil {
			return nil, solver.CopySource{}, fmt.Errorf("invalid checksum %q: %w", checksum, err)
		}
	}
	if op, err = l.resolver.URL(ctx, op); err != nil {
		return nil, solver.CopySource{}, &NameError{Name: withoutPassword(p), Err: err}
	}
	tree := solver.NewVertex(solver.Vertex{Op: op, Step: l.sourceStep(c, p)})
	return tree, solver.CopySource{Path: "/" + op.Filename, Unpack: c.Unpack != nil && *c.Unpack}, nil
}

func (l *lowerer) gitSource(ctx context.Context, c *instructions.AddCommand, g GitRef, checksum string) (*solver.Vertex, error) {
	if c.KeepGitDir != nil && g.KeepGitDir != nil && *c.KeepGitDir != *g.KeepGitDir {
		return nil, errors.New("inconsistent keep-git-dir configuration")
	}
	if g.KeepGitDir == nil {
		g.KeepGitDir = c.KeepGitDir
	}
	if checksum != "" {
		if err := g.pin(checksum); err != nil {
			return nil, err
		}
	}
	g, err := l.resolver.Git(ctx, g)
	if err != nil {
		return nil, &NameError{Name: withoutPassword(g.Remote), Err: err}
	}
	commit, err := l.gitCommit(ctx, g)
	if err != nil {
		return nil, err
	}
	return solver.NewVertex(solver.Vertex{Op: g.Op(commit), Step: l.sourceStep(c, g.Remote)}), nil
}

// gitCommit asks the resolver for a commit, once for every ref.
func (l *lowerer) gitCommit(ctx context.Context, g GitRef) (string, error) {
	key := fmt.Sprint(g.Remote, " ", g.Ref, " ", g.Checksum, " ", g.FetchByCommit)
	if commit, ok := l.commits[key]; ok {
		return commit, nil
	}
	commit, err := l.resolver.Commit(ctx, g)
	if err != nil {
		return "", &NameError{Name: withoutPassword(g.Remote), Err: err}
	}
	l.commits[key] = commit
	return commit, nil
}

// sourceStep returns the step of something that is fetched from an address.
func (l *lowerer) sourceStep(c instructions.Command, address string) solver.Step {
	return solver.Step{Text: printable("ADD " + withoutPassword(address)), Location: l.file.location(c.Location())}
}

// isURL reports whether p is an address to download from.
func isURL(p string) bool {
	return strings.HasPrefix(p, "http://") || strings.HasPrefix(p, "https://")
}

// urlFilename returns the name that a download gets.
func urlFilename(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "__unnamed__"
	}
	if name := path.Base(u.Path); name != "." && name != "/" && name != ".." {
		return name
	}
	return "__unnamed__"
}

// withoutPassword returns an address as it can be shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	return u.Redacted()
}

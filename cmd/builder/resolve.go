//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/fetch"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/lockfile"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/solver"
)

// Image implements frontend.Resolver.
func (b *build) Image(ctx context.Context, ref string, p v1.Platform) (frontend.Base, error) {
	ref, err := b.judgeImage(ref)
	if err != nil {
		return frontend.Base{}, err
	}
	pinned, err := b.lockImage(ref)
	if err != nil {
		return frontend.Base{}, err
	}
	named, err := name.ParseReference(pinned)
	if err != nil {
		return frontend.Base{}, err
	}
	image, err := b.client.Resolve(ctx, named, choose(p))
	if unresolved, ok := errors.AsType[*registry.NameError](err); ok {
		err = unresolved.Err // who asks says the name, as the user wrote it
	}
	if err != nil {
		return frontend.Base{}, b.lockedAt(lockfile.Image, ref, err)
	}
	b.fetched.add(fetchedSource{
		kind: imageSource, name: ref, platform: platforms.Format(p), digest: image.Named.Digest.String(),
		manifest: image.Manifest.Descriptor.Digest,
	})
	return b.resolved.add(solver.Image{
		Ref: image.Ref.String(), Digest: image.Manifest.Descriptor.Digest, DiffIDs: image.Config.RootFS.DiffIDs,
	}, image)
}

// choose picks the entry of an index that is for a platform.
func choose(p v1.Platform) registry.Choose {
	return func(index *v1.IndexManifest) (v1.Descriptor, error) {
		d, ok := platforms.Best(p, index.Manifests)
		if !ok {
			return d, fmt.Errorf("no match for platform in manifest: not found: it has no image for %s", platforms.FormatAll(p))
		}
		return d, nil
	}
}

// Context implements frontend.Resolver.
func (b *build) Context(ctx context.Context, name string, p v1.Platform) (frontend.Context, error) {
	value := b.contexts[name]
	scheme, rest, _ := strings.Cut(value, "://")
	switch scheme {
	case "docker-image":
		if rest == "scratch" {
			return treeContext(solver.Scratch{}), nil
		}
		base, err := b.Image(ctx, rest, p)
		if err != nil {
			return frontend.Context{}, fmt.Errorf("%s: %w", value, err)
		}
		return imageContext(base, p), nil
	case "oci-layout":
		base, err := b.layoutImage(rest, p)
		return imageContext(base, p), err
	}
	if stage, ok := strings.CutPrefix(value, "target:"); ok {
		return b.stageContext(ctx, stage, p)
	}
	info, err := os.Stat(value)
	if err == nil && info.IsDir() {
		return b.directoryContext(name, value)
	}
	if ref, ok, err := frontend.ParseGitRef(value); ok {
		if err != nil {
			return frontend.Context{}, err
		}
		op, err := b.gitContext(ctx, ref)
		return treeContext(op), err
	}
	if isURL(value) {
		return b.urlContext(ctx, name, value)
	}
	if err == nil {
		return frontend.Context{}, fmt.Errorf("%s is not a directory", value)
	}
	return frontend.Context{}, err
}

func treeContext(op solver.Op) frontend.Context {
	return frontend.Context{Tree: solver.NewVertex(solver.Vertex{Op: op})}
}

func imageContext(base frontend.Base, p v1.Platform) frontend.Context {
	return frontend.Context{Tree: solver.NewVertex(solver.Vertex{Op: base.Image, Platform: p}), Config: &base.Config}
}

// directoryContext is a directory of the user, without what its own ignore file hides.
func (b *build) directoryContext(name, value string) (frontend.Context, error) {
	dir, err := filepath.Abs(value)
	if err != nil {
		return frontend.Context{}, err
	}
	root, err := os.Open(dir)
	if err != nil {
		return frontend.Context{}, err
	}
	defer root.Close()
	ignore, err := readIgnore(root, nil, "")
	return treeContext(solver.Local{Name: name, Dir: dir, Exclude: ignore, Epoch: b.contextEpoch}), err
}

// stageContext is a stage of the Dockerfile under another name.
func (b *build) stageContext(ctx context.Context, stage string, p v1.Platform) (frontend.Context, error) {
	r := b.request(p)
	r.Target = stage
	image, err := frontend.Lower(ctx, r, b)
	if err != nil {
		return frontend.Context{}, err
	}
	return frontend.Context{Tree: image.Root, Config: &image.Config}, nil
}

// urlContext is the archive behind a URL, or else the file.
func (b *build) urlContext(ctx context.Context, name, address string) (frontend.Context, error) {
	f, op, err := b.get(ctx, fetch.Request{URL: address})
	if err != nil {
		return frontend.Context{}, err
	}
	dir, ok, err := b.http.Unpack(ctx, f)
	if err != nil {
		return frontend.Context{}, err
	}
	if !ok {
		op.Filename = f.Name
		return treeContext(op), nil
	}
	return treeContext(solver.Local{Name: name, Dir: dir}), nil
}

// gitContext resolves a repository that is used as a context.
func (b *build) gitContext(ctx context.Context, ref frontend.GitRef) (solver.Git, error) {
	ref, err := b.Git(ctx, ref)
	if err != nil {
		return solver.Git{}, err
	}
	commit, err := b.Commit(ctx, ref)
	op := ref.Op(commit)
	if keep, bad := strconv.ParseBool(b.buildArgs["BUILDKIT_CONTEXT_KEEP_GIT_DIR"]); ref.KeepGitDir == nil && bad == nil {
		op.KeepGitDir = keep
	}
	if ref.CommitTime == nil {
		op.CommitTime = b.buildArgs["SOURCE_DATE_EPOCH"] != ""
	}
	return op, err
}

// URL implements frontend.Resolver.
func (b *build) URL(_ context.Context, op solver.HTTP) (solver.HTTP, error) {
	op, err := b.judgeURL(op)
	if err != nil {
		return op, err
	}
	return b.lockURL(op)
}

// Git implements frontend.Resolver.
func (b *build) Git(_ context.Context, g frontend.GitRef) (frontend.GitRef, error) {
	g, err := b.judgeGit(g)
	if err != nil {
		return g, err
	}
	return b.lockGit(g)
}

// Commit implements frontend.Resolver.
func (b *build) Commit(ctx context.Context, g frontend.GitRef) (string, error) {
	commit, err := b.commit(ctx, g)
	if err != nil {
		return "", err
	}
	b.fetched.add(fetchedSource{kind: gitSource, name: gitName(g.Op(commit)), digest: commit})
	if e, ok := b.source.lockEntry(lockfile.Git, gitName(g.Op(commit))); ok && e.Digest != commit {
		return "", b.lockedAt(lockfile.Git, e.Name, fmt.Errorf("the Dockerfile asks for %s: run \"builder lock\"", commit))
	}
	return commit, nil
}

func (b *build) commit(ctx context.Context, g frontend.GitRef) (string, error) {
	if g.FetchByCommit {
		return g.Checksum, nil
	}
	r, err := b.git.Resolve(ctx, g.Remote, g.Ref)
	if err != nil {
		return "", err
	}
	if g.Checksum != "" && !r.Matches(g.Checksum) {
		return "", fmt.Errorf("expected checksum to match %s, got %s", g.Checksum, r.Commit)
	}
	return r.Commit, nil
}

// Epoch implements frontend.Resolver.
func (b *build) Epoch(ctx context.Context, source *solver.Vertex) (*int64, error) {
	switch op := source.Op.(type) {
	case solver.Git:
		t, err := b.git.CommitTime(ctx, commitOf(op))
		if err != nil {
			return nil, err
		}
		seconds := t.Unix()
		return &seconds, nil
	case solver.HTTP:
		return b.downloadEpoch(ctx, op)
	case solver.Local:
		if within(op.Dir, b.path) { // an archive
			return newest(op.Dir)
		}
	case solver.Scratch, solver.Image, solver.Inline, solver.Exec, solver.Copy, solver.Mkdir:
	}
	return nil, nil
}

// downloadEpoch returns the time of a download: when its server says that it was modified last, else that of
// the newest file in it, nil if it is no archive.
func (b *build) downloadEpoch(ctx context.Context, op solver.HTTP) (*int64, error) {
	t, err := b.http.LastModified(ctx, op.URL)
	if err != nil {
		return nil, err
	}
	if t == nil {
		if t, err = b.newestIn(ctx, op); t == nil || err != nil {
			return nil, err
		}
	}
	seconds := t.Unix()
	return &seconds, nil
}

// newestIn returns the time of the newest file in the archive behind a URL, nil if it is none.
func (b *build) newestIn(ctx context.Context, op solver.HTTP) (*time.Time, error) {
	dir, err := b.download(ctx, op)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(dir, op.Filename))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := fetch.Newest(f)
	if err != nil {
		return nil, nil // then it is no archive
	}
	return t, nil
}

// within reports whether a path is below a directory.
func within(path, dir string) bool {
	rest, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rest)
}

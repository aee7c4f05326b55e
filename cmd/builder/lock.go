//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/fetch"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/lockfile"
	"github.com/seed-298d225e/builder/solver"
)

func newLock() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "lock [OPTIONS] CONTEXT",
		Short: "Note down what the names of bases, URLs and git refs stand for now",
		Long: `Note down in Dockerfile.lock what the names of bases, URLs and git refs stand for now.

Every stage is looked at, for every platform that is asked for; nothing is run. From then on build uses just
that: beside a Dockerfile called NAME it looks for NAME.lock. With --locked it uses nothing else.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args)
			if err != nil {
				return err
			}
			o.method = callLock
			return o.run(cmd.Context())
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// lock writes the lock file.
func (b *build) lock(ctx context.Context) error {
	var err error
	if b.source, err = b.readSource(ctx); err != nil {
		return err
	}
	if b.source.lockPath == "" {
		return usagef("builder lock writes a file beside the Dockerfile, which must be one of this machine")
	}
	b.source.lock, b.supply.locked = nil, false // everything is looked up anew
	for _, p := range b.platforms {
		request := b.request(p)
		targets, err := frontend.Targets(request)
		if err != nil {
			return err
		}
		for i := range targets.Targets {
			request.Target = fmt.Sprint(i)
			if err := b.lockTarget(ctx, request); err != nil {
				return err
			}
		}
	}
	entries := b.lockEntries()
	if err := writeFile(b.source.lockPath, lockfile.Format(entries)); err != nil {
		return err
	}
	_, err = fmt.Printf("%s: %s\n", b.source.lockPath, display.Plural(len(entries), "source"))
	return err
}

// lockTarget finds out what the names in a stage, and in what it is made from, stand for.
func (b *build) lockTarget(ctx context.Context, request frontend.Request) error {
	image, err := frontend.Lower(ctx, request, b)
	if err != nil {
		return err
	}
	var downloads []solver.HTTP
	solver.Walk([]*solver.Vertex{image.Root}, func(v *solver.Vertex) {
		if op, ok := v.Op.(solver.HTTP); ok {
			downloads = append(downloads, op)
		}
	})
	for _, op := range downloads {
		if _, err := b.download(ctx, op); err != nil {
			return err
		}
	}
	return nil
}

// lockEntries are what was found out.
func (b *build) lockEntries() []lockfile.Entry {
	var entries []lockfile.Entry
	seen := map[string]bool{}
	for _, s := range b.fetched.list() {
		e := lockfile.Entry{Kind: lockfile.Kind(s.kind), Name: s.name, Digest: s.digest}
		if k := string(e.Kind) + " " + e.Name; !seen[k] && !strings.Contains(e.Name, "@sha256:") {
			seen[k] = true
			entries = append(entries, e)
		}
	}
	return entries
}

// readLock reads the lock file of a Dockerfile in a directory. There need not be one.
func (s *source) readLock(dir *os.File, dockerfile string) error {
	name := filepath.Base(dockerfile) + ".lock"
	text, err := readIn(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the lock file: %w", err)
	}
	s.lock, err = lockfile.Parse(name, text)
	if err != nil {
		return &usageError{err}
	}
	return nil
}

// locked returns what a name is locked to. asked is what the Dockerfile itself says it must be, "" if nothing.
func (b *build) locked(kind lockfile.Kind, name, asked string) (digest string, err error) {
	if b.source == nil { // the context itself is being brought here, and the lock file is in it
		return "", nil
	}
	e, ok := b.source.lockEntry(kind, name)
	switch {
	case !ok && asked != "":
	case !ok && b.supply.locked:
		return "", fmt.Errorf("%s %s is not in the lock file, and --locked allows nothing else: run \"builder lock\"", kind, name)
	case !ok && b.source.lock != nil:
		b.noticeOnce(fmt.Sprintf("%s has no line for %s %s: run \"builder lock\"", b.source.lock.Path, kind, name))
	case ok && asked != "" && asked != e.Digest:
		return "", fmt.Errorf("%s: %s %s is locked to %s, but %s is asked for: run \"builder lock\"", b.source.lock.Place(e), kind, name, e.Digest, asked)
	}
	return e.Digest, nil
}

func (s *source) lockEntry(kind lockfile.Kind, name string) (lockfile.Entry, bool) {
	if s == nil {
		return lockfile.Entry{}, false
	}
	return s.lock.Find(kind, name)
}

// lockedAt says which line of the lock file an error is about.
func (b *build) lockedAt(kind lockfile.Kind, name string, err error) error {
	e, ok := b.source.lockEntry(kind, name)
	if err == nil || !ok {
		return err
	}
	return fmt.Errorf("%s: %s %s is locked to %s: %w", b.source.lock.Place(e), kind, name, e.Digest, err)
}

// lockImage returns the name with the digest that it is locked to.
func (b *build) lockImage(ref string) (string, error) {
	_, asked, pinned := strings.Cut(ref, "@")
	digest, err := b.locked(lockfile.Image, ref, asked)
	if err != nil || digest == "" || pinned {
		return ref, err
	}
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", err
	}
	return reference.TrimNamed(named).String() + "@" + digest, nil
}

// lockURL returns the download with the checksum that it is locked to.
func (b *build) lockURL(op solver.HTTP) (solver.HTTP, error) {
	asked := ""
	if op.Checksum.Algorithm == "sha256" {
		asked = op.Checksum.String()
	}
	digest, err := b.locked(lockfile.URL, withoutCredentials(op.URL), asked)
	if err != nil || digest == "" || op.Checksum.Hex != "" {
		return op, err
	}
	op.Checksum, err = v1.NewHash(digest)
	return op, err
}

// get downloads a file that no step asked for: a context, or a Dockerfile.
func (b *build) get(ctx context.Context, r fetch.Request) (fetch.File, solver.HTTP, error) {
	op, err := b.URL(ctx, solver.HTTP{URL: r.URL, Filename: r.Filename})
	if err != nil {
		return fetch.File{}, op, err
	}
	r.URL, r.Filename = op.URL, op.Filename
	if op.Checksum.Hex != "" {
		r.Checksum = op.Checksum.String()
	}
	f, err := b.fetch(ctx, r)
	return f, op, b.lockedAt(lockfile.URL, withoutCredentials(r.URL), err)
}

// downloadLocked is download for a step, whose failure may be because of the lock file.
func (b *build) downloadLocked(ctx context.Context, op solver.HTTP) (string, error) {
	dir, err := b.download(ctx, op)
	return dir, b.lockedAt(lockfile.URL, withoutCredentials(op.URL), err)
}

// lockGit returns the ref with the commit that it is locked to. One that has a checksum is compared once it is
// resolved.
func (b *build) lockGit(g frontend.GitRef) (frontend.GitRef, error) {
	digest, err := b.locked(lockfile.Git, gitName(g.Op("")), "")
	if err != nil || digest == "" || g.Checksum != "" {
		return g, err
	}
	g.Checksum, g.FetchByCommit = digest, true
	return g, nil
}

// noticeOnce tells the user something, unless it was told before.
func (b *build) noticeOnce(text string) {
	if _, again := b.told.LoadOrStore(text, true); !again {
		b.notice(text)
	}
}

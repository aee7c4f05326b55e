//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// A build of which everything is remembered runs nothing and opens no tree, so it needs none of what the namespaces are
// for, and entering them would be a third of the time that it takes. If something was built before it is therefore tried
// to recall it first, in the process that the user has started. That shows and writes nothing until it is certain; if it
// turns out that something must be made the attempt is forgotten, and the build begins anew inside. Only what names in
// registries stand for is told to that, so that no registry is asked twice. Nor is one waited for before everything was
// found: names are taken to stand for what they stood for the last time.

// errForgotten: something must be made.
var errForgotten = errors.New("not everything is remembered")

// recall tries to build without making anything. It returns errForgotten if that cannot be, and what names stand for.
func (o *buildOptions) recall(ctx context.Context, t *tracer, shown display.Options) (tags map[string]v1.Hash, err error) {
	if sandbox.Inside() || !o.recallable() || !complete(cache.NewDiary(o.root, o.subject()).Last()) {
		return nil, errForgotten
	}
	shown.Held = true
	w, err := enter(sandbox.RungNone, o.root, shown, nil) //nolint:contextcheck // this rung starts no other process
	if err != nil {
		return nil, errForgotten
	}
	w.trace, w.lookOnly = t, true
	b := o.newBuild(w)
	b.recalling = &recalling{}
	err = b.do(ctx)
	if errors.Is(err, errForgotten) && b.client != nil {
		tags = b.client.Resolved()
	}
	return tags, err
}

// recallable reports whether nothing that was asked for needs more than memories.
func (o *buildOptions) recallable() bool {
	if o.method != callBuild || o.noCache || len(o.noCacheFilter) > 0 || o.squash || o.createRepo || o.verify != nil ||
		len(o.cacheFrom) > 0 || len(o.cacheTo) > 0 || len(o.secrets) > 0 || len(o.agents) > 0 || len(o.keys) > 0 || o.attest.sbom != nil || o.maxStorage != "" {
		return false
	}
	if o.service != nil && o.service.largest > 0 { // the files of the layers are counted
		return false
	}
	for i := range o.outputs {
		if kind := o.outputs[i].kind; kind != outputImage && kind != outputCacheOnly {
			return false
		}
	}
	context, err := os.Stat(o.context)
	return err == nil && context.IsDir() && o.rereadable()
}

// rereadable reports whether the Dockerfile is there when it is read once more, which that from a pipe is not.
func (o *buildOptions) rereadable() bool {
	if o.file == "" {
		return true
	}
	info, err := os.Stat(o.file)
	if err != nil {
		info, err = os.Stat(filepath.Join(o.context, o.file))
	}
	return err == nil && info.Mode().IsRegular()
}

// complete reports whether a build went well.
func complete(a *solver.Account) bool {
	return a != nil && !slices.ContainsFunc(a.Steps, func(s solver.StepAccount) bool { return s.Outcome == solver.OutcomeFailed })
}

// recalling is what a build that makes nothing does differently.
type recalling struct {
	// looking is set when everything is looked for, certain when it was found. What goes wrong before the one and after
	// the other would do so anyway.
	looking, certain bool
	// beside is what else can go wrong without running anything; stop ends it.
	beside errgroup.Group
	stop   context.CancelFunc
	// misled is set if names do not stand for what was assumed.
	misled bool
}

// over ends what goes on beside an attempt to recall the build, and finds out whether that was misled.
func (b *build) over(ctx context.Context) {
	if b.recalling.stop != nil {
		b.recalling.stop()
	}
	_ = b.recalling.beside.Wait() // what went wrong either was told, or the attempt had failed before
	b.recalling.misled = b.client != nil && b.client.Confirm(ctx) != nil
}

// settle waits for what goes on beside an attempt to recall the build.
func (b *build) settle(ctx context.Context) error {
	err := b.recalling.beside.Wait()
	if b.client != nil {
		err = errors.Join(err, b.client.Confirm(ctx))
	}
	return err
}

// forgotten reports whether something was not found, if that was tried.
func (r *recalling) forgotten() bool { return r != nil && (r.looking || r.misled) && !r.certain }

// restrict keeps a solver from making anything.
func (r *recalling) restrict(s *solver.Solver) {
	if r == nil {
		return
	}
	r.looking = true
	s.Worker, s.Diary, s.Ready = recollecting{s.Worker}, heldDiary{s.Diary, r}, nil
}

// recollecting is a worker that makes nothing.
type recollecting struct{ solver.Worker }

// Source implements solver.Worker.
func (r recollecting) Source(ctx context.Context, v *solver.Vertex) (solver.Tree, error) {
	switch v.Op.(type) {
	case solver.Image, solver.Local, solver.Scratch, solver.Inline:
		return r.Worker.Source(ctx, v)
	default: // something to be brought here first
		return solver.Tree{}, errForgotten
	}
}

// Digest implements solver.Worker. Only directories of the user can be read.
func (r recollecting) Digest(ctx context.Context, v *solver.Vertex, i int, t solver.Tree) (v1.Hash, error) {
	if t.Local == nil {
		return v1.Hash{}, errForgotten
	}
	return r.Worker.Digest(ctx, v, i, t)
}

// Files implements solver.Worker.
func (recollecting) Files(context.Context, *solver.Vertex, int, solver.Tree) (map[string]string, error) {
	return nil, errForgotten
}

// Run implements solver.Worker.
func (recollecting) Run(context.Context, *solver.Vertex, []solver.Tree, func(solver.Event)) (v1.Layer, error) {
	return nil, errForgotten
}

// heldDiary writes what it is told when that is certain.
type heldDiary struct {
	solver.Diary
	held *recalling
}

// Write implements solver.Diary.
func (d heldDiary) Write(a solver.Account) {
	if d.held.certain {
		d.Diary.Write(a)
	}
}

// found reports that all trees were found, of which all layers that are needed are there as they are wanted. From here on
// the build is like any other.
func (b *build) found(ctx context.Context, trees []solver.Tree) error {
	if err := b.settle(ctx); err != nil {
		return errForgotten
	}
	for _, spec := range b.described() {
		for i, t := range trees {
			if _, err := b.image(spec, b.images[i], t); err != nil {
				return errForgotten
			}
		}
	}
	b.recalling.certain = true
	b.display.Release()
	return nil
}

// described returns the outputs for which images are made, if only to be told of.
func (b *build) described() (all []*outputSpec) {
	for i := range b.outputs {
		if out := &b.outputs[i]; out.ships() || b.attest.asked(out.spec) {
			all = append(all, out.spec)
		}
	}
	if len(all) == 0 && b.named() {
		all = append(all, &outputSpec{})
	}
	return all
}

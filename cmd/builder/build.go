//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/ops"
)

func newBuild() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build [OPTIONS] CONTEXT",
		Short: "Build an image from a Dockerfile and push it",
		Long:  buildHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args)
			if err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	f.add(cmd.Flags())
	return cmd
}

const buildHelp = `Build an image from a Dockerfile and push it to where its name says.

CONTEXT is what COPY and ADD can copy from: a directory, a tar archive (compressed or not), the URL of one,
the address of a git repository (URL#REF:DIRECTORY), or - for an archive or a Dockerfile on standard input.

With -t the image is pushed there; --no-push, --load and --output say otherwise. With several platforms the
result is an index of one image for each.`

// build is one run of the command.
type build struct {
	*buildOptions
	*workshop
	source  *source
	images  []*frontend.Image
	outputs []output
	cache   *cache.Tiers
	// mounted are the names of the cache directories that commands use.
	mounted sync.Map
	// inline collects what the image is to carry of the cache, nil if it carries nothing.
	inline  *cache.Inline
	guard   *secretGuard
	summary display.Summary
	id      string
	// told are the notices that are given once.
	told sync.Map
	// started is when the build began.
	started time.Time
	// generators are the steps that list what the images hold, scanned what they gave.
	generators []*solver.Vertex
	scanned    []solver.Tree
	// predicates are what is attested of the images.
	predicates map[predicateOf][]byte
	// recalling is nil unless nothing may be made.
	recalling *recalling
}

// run builds.
func (o *buildOptions) run(ctx context.Context) error {
	trace := newTracer(o.trace)
	shown := o.displayOptions()
	shown.Observe = trace.event
	tags, err := o.recall(ctx, trace, shown)
	if !errors.Is(err, errForgotten) {
		return err
	}
	w, err := enter(o.rung, o.root, shown, tags) //nolint:contextcheck // the process outside lives until this one ends
	if err != nil {
		return err
	}
	w.trace = trace
	return o.newBuild(w).do(ctx)
}

func (o *buildOptions) newBuild(w *workshop) *build {
	return &build{
		buildOptions: o, workshop: w, started: time.Now().UTC().Truncate(time.Second), predicates: map[predicateOf][]byte{},
	}
}

// do builds, and tells how it went.
func (b *build) do(ctx context.Context) (err error) {
	ctx, stop := b.host.NotifyContext(context.WithoutCancel(ctx))
	defer stop()
	good := true
	if b.method == callBuild {
		err = b.run(ctx)
	} else {
		good, err = b.call(ctx)
	}
	if b.recalling != nil {
		b.over(ctx)
	}
	closed := b.trace.phase("close")
	if closing := b.close(); err == nil {
		err = closing
	}
	closed()
	if err != nil && b.recalling.forgotten() && ctx.Err() == nil {
		return errForgotten
	}
	if writing := b.trace.write(b.buildOptions.trace); err == nil {
		err = writing
	}
	if err != nil {
		return b.fail(ctx, err)
	}
	switch {
	case !good:
		return &reportedError{errChecks}
	case b.method == callBuild:
		b.display.Finish(b.summary)
	}
	if b.quiet {
		fmt.Println(b.id)
	}
	return nil
}

// errChecks: the checks of the Dockerfile have found something, as was printed.
var errChecks = errors.New("the Dockerfile was checked and has warnings")

func (o *buildOptions) displayOptions() display.Options {
	d := display.Options{
		Mode: o.progress, Out: os.Stderr, Terminal: display.IsTerminal(os.Stderr),
		Colour: colour(display.IsTerminal(os.Stderr)), Size: display.SizeOf(os.Stderr),
	}
	if len(o.platforms) == 1 {
		d.Platform = o.platforms[0].String()
	}
	return d
}

// colour reports whether what is printed may have colours: on a terminal, and in the log of a CI system, which
// shows them; see no-color.org and force-color.org.
func colour(terminal bool) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	return terminal || os.Getenv("CI") != "" || os.Getenv("FORCE_COLOR") != ""
}

func (b *build) run(ctx context.Context) error {
	if err := b.open(ctx, b.buildOptions); err != nil {
		return err
	}
	if b.recalling == nil {
		b.closing = append(b.closing, b.bound)
	} else {
		defer b.trace.phase("recall")()
	}
	b.guard = b.newGuard()
	if b.verify != nil {
		if err := b.verify.resolve(ctx, b.client, b.buildOptions); err != nil {
			return err
		}
	}
	if err := b.openOutputs(); err != nil {
		return err
	}
	if err := b.openCaches(ctx); err != nil {
		return &usageError{err}
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := b.fitBases(); err != nil {
		return &usageError{err}
	}
	if err := b.guardGraph(); err != nil {
		return err
	}
	return b.solve(ctx)
}

// prepare finds out what can go wrong without running anything, all at once; if nothing will be run there is no need to
// wait for all of it.
func (b *build) prepare(ctx context.Context) error {
	if b.recalling != nil {
		beside, stop := context.WithCancel(ctx)
		b.recalling.stop = stop
		b.recalling.beside.Go(func() error { return b.checkOutputs(beside) })
		return b.lower(ctx)
	}
	g, early := errgroup.WithContext(ctx)
	g.Go(func() error { return b.checkOutputs(early) })
	g.Go(func() error { return b.lower(early) })
	return g.Wait()
}

// lower reads the Dockerfile and turns it into a graph for each platform.
func (b *build) lower(ctx context.Context) (err error) {
	defer b.trace.phase("lower")()
	if b.source, err = b.readSource(ctx); err != nil {
		return err
	}
	if b.supply.locked && b.source.lock == nil {
		return usagef("--locked: there is no lock file beside the Dockerfile: run \"builder lock\"")
	}
	b.images = make([]*frontend.Image, len(b.platforms))
	var g errgroup.Group
	for i, p := range b.platforms {
		g.Go(func() (err error) {
			b.images[i], err = frontend.Lower(ctx, b.request(p), b)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := b.judgeLocal(); err != nil {
		return err
	}
	return b.lowerGenerator(ctx)
}

// solve solves the graphs and writes the results. If a layer of a shared cache turns out not to be what was
// promised it does so once more, without that cache.
func (b *build) solve(ctx context.Context) error {
	worker, err := b.worker(b.buildOptions)
	if err != nil {
		return err
	}
	worker.HTTP = b.downloadLocked
	worker.Sparing = !slices.ContainsFunc(b.outputs, output.takesLayers)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	b.guard.stop = stop
	b.useMounts(worker)
	for {
		err := b.solveWith(ctx, worker)
		damaged := damagedCaches(b.cache, err)
		if len(damaged) == 0 || ctx.Err() != nil {
			b.shareMounts(ctx)
			return b.cache.Finish(ctx, err)
		}
		b.cache.Warn(fmt.Sprintf("%v; building again without that cache", err))
		for _, source := range damaged {
			source.Disable()
		}
		b.outputs = nil // what has been begun for them is over
		if err := b.openOutputs(); err != nil {
			return err
		}
	}
}

func (b *build) solveWith(ctx context.Context, worker *ops.Worker) error {
	defer b.trace.phase("solve")()
	s := solver.Solver{
		Worker: b.guard.watch(worker), Cache: b.cache, Jobs: b.jobs, Emit: b.guard.masked(b.display.Emit), Ready: b.ready(ctx),
		Settled: b.inline != nil, Beside: b.generators, Diary: cache.NewDiary(b.path, b.subject()),
	}
	b.recalling.restrict(&s)
	defer b.stopOutputs()
	err := s.Solve(ctx, b.roots(), func(ctx context.Context, trees []solver.Tree) error {
		trees, b.scanned = trees[:len(b.images)], trees[len(b.images):]
		if err := b.guardLayers(worker, trees); err != nil {
			return err
		}
		if b.recalling != nil {
			if err := b.found(ctx, trees); err != nil {
				return err
			}
		}
		return b.export(ctx, trees)
	})
	if leak := b.guard.leaked(); leak != nil {
		return leak
	}
	return err
}

// roots are the vertices of the images.
func (b *build) roots() []*solver.Vertex {
	roots := make([]*solver.Vertex, len(b.images))
	for i, image := range b.images {
		roots[i] = image.Root
	}
	return roots
}

// fail reports an error and returns it as reported.
func (b *build) fail(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	var text []byte
	if b.source != nil {
		text = b.source.dockerfile
	}
	b.display.Fail(b.guard.failure(failure(err, text)))
	return &reportedError{err}
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/ops"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

func newBuild() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build [OPTIONS] CONTEXT",
		Short: "Build an image from a Dockerfile and push it",
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

// build is one run of the command.
type build struct {
	*buildOptions
	host     *sandbox.Host
	store    *snapshot.Store
	client   *registry.Client
	resolver *resolver
	source   *source
	display  *display.Display
	images   []*frontend.Image
	outputs  []exporter.Output
	// closing undoes what was set up, last first.
	closing []func() error
	summary display.Summary
	id      string
	// warned are the warnings of the Dockerfile that were shown; every platform has the same.
	warned map[string]bool
}

func (o *buildOptions) run(ctx context.Context) error {
	host, err := sandbox.Enter(o.rung)
	if err != nil {
		return &machineError{err}
	}
	ctx, stop := host.NotifyContext(context.WithoutCancel(orBackground(ctx)))
	defer stop()
	b := &build{buildOptions: o, host: host, warned: map[string]bool{}}
	b.display = display.Start(b.displayOptions())
	err = b.run(ctx)
	for _, undo := range slices.Backward(b.closing) {
		if undoing := undo(); err == nil {
			err = undoing
		}
	}
	if err != nil {
		return b.fail(ctx, err)
	}
	b.display.Finish(b.summary)
	if b.quiet {
		fmt.Println(b.id)
	}
	return nil
}

func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

func (b *build) displayOptions() display.Options {
	o := display.Options{
		Mode: b.progress, Out: os.Stderr, Terminal: display.IsTerminal(os.Stderr),
		Colour: os.Getenv("NO_COLOR") == "", Size: display.SizeOf(os.Stderr),
	}
	if len(b.platforms) == 1 {
		o.Platform = b.platforms[0].String()
	}
	return o
}

// run builds.
func (b *build) run(ctx context.Context) (err error) {
	if b.source, err = b.readSource(ctx); err != nil {
		return err
	}
	if err := b.open(); err != nil {
		return err
	}
	for _, spec := range b.buildOptions.outputs {
		out, err := spec.open(b.client)
		if err != nil {
			return &usageError{err}
		}
		b.outputs = append(b.outputs, out)
	}
	if err := b.lower(ctx); err != nil {
		return err
	}
	return b.solve(ctx)
}

// open opens the store and what uses it.
func (b *build) open() (err error) {
	b.store, err = snapshot.Open(b.root, snapshot.Options{Owners: owners(b.host)})
	if err != nil {
		return &usageError{err}
	}
	b.closing = append(b.closing, b.store.Close)
	keychain, err := registry.NewKeychain(os.Getenv)
	if err != nil {
		return err
	}
	hosts := map[string]registry.Host{}
	for _, h := range b.insecure {
		hosts[h] = registry.Host{SkipVerify: true, Scheme: "http"}
	}
	b.client, err = registry.New(registry.Config{
		Keychain: keychain, Hosts: hosts, Proxy: http.ProxyFromEnvironment, UserAgent: "builder/" + version(), Blobs: b.store,
		Progress: func(what string, current, total int64) {
			b.display.Emit(solver.Event{Time: time.Now(), Action: solver.ActionProgress, Text: what, Current: current, Total: total})
		},
	})
	b.resolver = &resolver{client: b.client}
	return err
}

// owners returns the ids that files can be given on this machine.
func owners(h *sandbox.Host) snapshot.Owners {
	ranges := func(extents []sandbox.Extent) (list []snapshot.IDRange) {
		for _, e := range extents {
			list = append(list, snapshot.IDRange{First: e.Inside, Count: e.Count})
		}
		return list
	}
	return snapshot.Owners{UIDs: ranges(h.UIDs), GIDs: ranges(h.GIDs)}
}

// lower turns the Dockerfile into a graph for each platform.
func (b *build) lower(ctx context.Context) error {
	for _, p := range b.platforms {
		image, err := frontend.Lower(ctx, b.request(p), b.resolver)
		if err != nil {
			return err
		}
		b.images = append(b.images, image)
	}
	return nil
}

// hostname is what commands find, as with BuildKit: the same everywhere, so that it tells nothing.
const hostname = "buildkitsandbox"

func (b *build) request(p v1.Platform) frontend.Request {
	return frontend.Request{
		Dockerfile: b.source.dockerfile, Filename: b.source.filename, Target: b.target,
		BuildArgs: b.buildArgs, Labels: b.labels, Platform: p, BuildPlatform: platforms.Host(),
		PlatformImplicit: b.implicit, Hostname: hostname, Contexts: slices.Sorted(maps.Keys(b.contexts)), Context: b.source.context, IgnorePatterns: b.source.ignore,
		NoCache: b.noCache, NoCacheStages: b.noCacheFilter, Network: b.network, Hosts: b.hosts, Limits: b.limits,
		AllowInsecure: b.allowInsecure, AllowHostNetwork: b.allowHostNetwork, Warn: b.warn,
	}
}

func (b *build) warn(w frontend.Warning) {
	key := fmt.Sprint(w)
	if b.warned[key] {
		return
	}
	b.warned[key] = true
	b.display.Emit(solver.Event{Time: time.Now(), Action: solver.ActionWarning, Text: w.Rule + ": " + w.Detail, Step: solver.Step{Location: w.Location}})
}

// solve solves the graphs and writes the result.
func (b *build) solve(ctx context.Context) error {
	worker, err := b.worker()
	if err != nil {
		return err
	}
	s := solver.Solver{
		Worker: worker, Jobs: b.jobs, Emit: b.display.Emit,
		Cache: &cache.Dir{Path: b.root, Layers: storeLayers{b.store}},
	}
	for _, o := range b.outputs {
		if early, ok := o.(*exporter.Registry); ok {
			defer early.Wait()
			s.Ready = func(l v1.Layer) { early.Layer(ctx, l) }
		}
	}
	roots := make([]*solver.Vertex, len(b.images))
	for i, image := range b.images {
		roots[i] = image.Root
	}
	return s.Solve(ctx, roots, func(ctx context.Context, trees []solver.Tree) error {
		return b.export(ctx, trees)
	})
}

// storeLayers finds layers in the store, for the cache.
type storeLayers struct {
	store *snapshot.Store
}

func (s storeLayers) Layer(ctx context.Context, content v1.Hash) (v1.Layer, error) {
	return s.store.Stored(ctx, content)
}

func (s storeLayers) Keep(l v1.Layer) error {
	if ours, ok := l.(*snapshot.Layer); ok {
		return ours.Keep()
	}
	return fs.ErrNotExist
}

func (b *build) worker() (*ops.Worker, error) {
	scratch := filepath.Join(b.store.Temporary(), "scratch")
	remove, err := b.host.Memory(scratch)
	if err != nil {
		return nil, err
	}
	emulator := &platforms.Emulator{
		Dir: filepath.Join(b.store.Temporary(), "binfmt"), QEMU: os.Getenv("BUILDER_QEMU_DIR"), Path: os.Getenv("PATH"),
	}
	b.closing = append(b.closing, remove, emulator.Close)
	return &ops.Worker{
		Store: b.store, Host: b.host, Images: b.resolver, Secret: b.secret, Agent: b.agent,
		Emulate: emulator.Enable, Scratch: scratch,
	}, nil
}

func (b *build) secret(id string) ([]byte, error) {
	source, ok := b.secrets[id]
	if !ok {
		return nil, fs.ErrNotExist
	}
	value, err := source.read()
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("reading the secret %s: %v", id, err) //nolint:errorlint // given, but gone: not the same as not given
	}
	return value, err
}

func (b *build) agent(id string) (string, error) {
	path, ok := b.agents[id]
	if !ok {
		return "", fs.ErrNotExist
	}
	return path, nil
}

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/fetch"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/ops"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// workshop is what a build works with: the machine, the store, and the ways to the outside. It is opened once
// for a process and closed at its end.
type workshop struct {
	host    *sandbox.Host
	display *display.Display
	// trace is nil unless it was asked for.
	trace *tracer
	path  string
	store *snapshot.Store
	// lookOnly: nothing is to be made in the store.
	lookOnly bool
	client   *registry.Client
	// tags are what tags are known to stand for.
	tags map[string]v1.Hash
	http *fetch.HTTP
	git  *fetch.Git
	// resolved are the images that names stand for.
	resolved images
	// fetched is what names of sources stood for.
	fetched fetchedSources
	// closing undoes what was set up, last first.
	closing []func() error
}

// enter makes this process one that can work on the store at path, as far as the machine allows up to best. There it is
// known what tags have just been found to stand for.
func enter(best sandbox.Rung, path string, d display.Options, tags map[string]v1.Hash) (*workshop, error) {
	told, err := json.Marshal(tags)
	if err != nil {
		return nil, err
	}
	host, err := sandbox.Enter(best, told)
	if err != nil {
		return nil, &machineError{err}
	}
	w := &workshop{host: host, path: path, display: display.Start(d)}
	return w, json.Unmarshal(host.Told, &w.tags)
}

// open opens the store and what uses it.
func (w *workshop) open(ctx context.Context, o *buildOptions) (err error) {
	if err := w.openStore(o.driver); err != nil {
		return err
	}
	pushed, tags := registry.NewPushedFile(filepath.Join(w.path, "pushed")), registry.NewTagsFile(filepath.Join(w.path, "tags"))
	w.closing = append(w.closing, func() error { _, _ = pushed.Save(), tags.Save(); return nil }) // what is forgotten costs time
	c := registry.Config{Blobs: w.store, Pushed: pushed, Tags: tags, Assume: w.lookOnly, Progress: w.progress, Resolved: w.tags}
	if w.client, err = o.newClient(ctx, c, outside(w.host)); err != nil {
		return err
	}
	if err := w.serveKeys(ctx, o); err != nil {
		return err
	}
	dir := downloads{w.path}.dir()
	w.http = &fetch.HTTP{
		Dir: dir, UserAgent: userAgent(), Proxy: http.ProxyFromEnvironment, Secret: o.secret, Progress: w.progress,
	}
	w.git = &fetch.Git{
		Dir: dir, Env: gitEnvironment(), Secret: o.secret, Agent: o.agent, Progress: w.progress,
		CAFile: first(os.Getenv("GIT_SSL_CAINFO"), os.Getenv("SSL_CERT_FILE")), // http has the latter from package x509
	}
	w.closing = append(w.closing, func() error { w.http.Close(); w.git.Close(); return nil })
	return nil
}

func (w *workshop) openStore(driver snapshot.Driver) (err error) {
	if !w.host.Mounts() {
		driver = snapshot.DriverPlain
	}
	w.store, err = snapshot.Open(w.path, snapshot.Options{
		Owners: owners(w.host), Driver: driver, LookOnly: w.lookOnly, Shelves: []snapshot.Shelf{downloads{w.path}},
		Span: w.trace.layer,
	})
	if err != nil {
		return &usageError{err}
	}
	w.closing = append(w.closing, w.store.Close)
	return nil
}

func userAgent() string { return "builder/" + version() }

// gitEnvironment is what git needs to know of the environment.
func gitEnvironment() []string {
	var env []string
	for _, name := range []string{"PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// progress tells of a transfer.
func (w *workshop) progress(what string, current, total int64) {
	w.display.Emit(solver.Event{Time: time.Now(), Action: solver.ActionProgress, Text: what, Current: current, Total: total})
}

// notice tells the user something.
func (w *workshop) notice(text string) {
	w.display.Emit(solver.Event{Time: time.Now(), Action: solver.ActionNotice, Text: text})
}

// close undoes what was set up.
func (w *workshop) close() error {
	var errs []error
	for _, undo := range slices.Backward(w.closing) {
		errs = append(errs, undo())
	}
	w.closing = nil
	return errors.Join(errs...)
}

// owners returns the ids that files can be given on this machine.
func owners(h *sandbox.Host) snapshot.Owners {
	ranges := func(extents []sandbox.Extent) (list []snapshot.IDRange) {
		for _, e := range extents {
			list = append(list, snapshot.IDRange{First: e.Inside, Count: e.Count})
		}
		return list
	}
	o := snapshot.Owners{UIDs: ranges(h.UIDs), GIDs: ranges(h.GIDs)}
	if many := func(e sandbox.Extent) bool { return e.Count > 1 }; slices.ContainsFunc(h.UIDs, many) || slices.ContainsFunc(h.GIDs, many) {
		o.Disk = fmt.Sprint(h.UIDs, h.GIDs)
	}
	return o
}

// worker returns what does the steps of a build.
func (w *workshop) worker(o *buildOptions) (*ops.Worker, error) {
	scratch, remove, err := w.host.Memory(filepath.Join(w.store.Temporary(), "scratch"))
	if err != nil {
		return nil, err
	}
	emulator := newEmulator(filepath.Join(w.store.Temporary(), "binfmt"))
	w.closing = append(w.closing, remove, emulator.Close)
	return &ops.Worker{
		Store: w.store, Host: w.host, Images: &w.resolved, Secret: o.secret, Agent: o.agent,
		Emulate: emulator.Enable, Scratch: scratch, Resources: o.resources, HTTP: w.download, Git: w.checkout,
	}, nil
}

// newEmulator returns what makes programs for other architectures run; dir is a directory for it alone.
func newEmulator(dir string) *platforms.Emulator {
	return &platforms.Emulator{Dir: dir, QEMU: os.Getenv("BUILDER_QEMU_DIR"), Path: os.Getenv("PATH")}
}

// download brings the file behind a URL into a directory.
func (w *workshop) download(ctx context.Context, op solver.HTTP) (string, error) {
	r := fetch.Request{URL: op.URL, Filename: op.Filename}
	if op.Checksum.Hex != "" {
		r.Checksum = op.Checksum.String()
	}
	f, err := w.fetch(ctx, r)
	return f.Path, err
}

// fetch downloads a file and notes down what it was.
func (w *workshop) fetch(ctx context.Context, r fetch.Request) (fetch.File, error) {
	f, err := w.http.Fetch(ctx, r)
	if err == nil {
		w.fetched.add(fetchedSource{kind: urlSource, name: withoutCredentials(r.URL), digest: f.Digest})
	}
	return f, err
}

// checkout brings the tree of a commit into a directory.
func (w *workshop) checkout(ctx context.Context, op solver.Git) (string, error) {
	return w.git.Checkout(ctx, fetch.Checkout{
		Commit: commitOf(op), Subdir: op.Subdir, KeepGitDir: op.KeepGitDir,
		SkipSubmodules: op.SkipSubmodules, CommitTime: op.CommitTime,
	})
}

func commitOf(op solver.Git) fetch.Commit {
	return fetch.Commit{Remote: op.Remote, Ref: op.Ref, ID: op.Commit}
}

// secret returns the value of a secret.
func (o *buildOptions) secret(id string) ([]byte, error) {
	source, ok := o.secrets[id]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return source.read()
}

// agent returns the path of the socket of an SSH agent.
func (o *buildOptions) agent(id string) (string, error) {
	path, ok := o.agents[id]
	if !ok {
		return "", fs.ErrNotExist
	}
	return path, nil
}

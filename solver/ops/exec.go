//go:build linux

package ops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// exec runs a command and returns the layer of what it changed.
func (w *Worker) exec(ctx context.Context, v *solver.Vertex, op solver.Exec, inputs []solver.Tree, emit func(solver.Event)) (v1.Layer, error) {
	if err := w.Host.CanRun(); err != nil {
		return nil, err
	}
	if err := w.Emulate(v.Platform); err != nil {
		return nil, err
	}
	ours, err := layers(inputs[0])
	if err != nil {
		return nil, err
	}
	attempt := func() (*snapshot.Active, bool, error) {
		r := &run{worker: w, op: op, inputs: inputs, emit: emit}
		return r.attempt(ctx, v, ours)
	}
	root, full, err := attempt()
	if full {
		root, err = w.again(attempt, err, emit)
	}
	if err != nil {
		return nil, err
	}
	return root.Commit(ctx, form(v, inputs[0]), func(e snapshot.Entries) snapshot.Entries { return w.guarded(v, clamped(e, v.Epoch)) })
}

// run is one command on its way.
type run struct {
	worker *Worker
	op     solver.Exec
	inputs []solver.Tree
	emit   func(solver.Event)
	// env is what the mounts add to the environment.
	env []string
	// cache are the directories of cache mounts, by name.
	cache map[string]*snapshot.CacheDir
	// undo ends what the mounts need, last first.
	undo []func()
}

// attempt runs the command on a new tree of layers. If it fails, full says that there was no room left on the disk then.
func (r *run) attempt(ctx context.Context, v *solver.Vertex, below []*snapshot.Layer) (root *snapshot.Active, full bool, err error) {
	store := r.worker.Store
	if root, err = store.PrepareRoot(below); err != nil {
		return nil, store.Full(), err
	}
	if err := r.run(ctx, v, root); err != nil {
		full := ctx.Err() == nil && store.Full()
		root.Discard()
		return nil, full, err
	}
	return root, false, nil
}

// again makes room on a full disk, on which a command has failed with err, and runs it once more.
func (w *Worker) again(attempt func() (*snapshot.Active, bool, error), err error, emit func(solver.Event)) (*snapshot.Active, error) {
	if size, ok := w.Store.MakeRoom(); ok {
		emit(solver.Event{Action: solver.ActionNotice, Text: fmt.Sprintf(
			"the disk is full: %d MiB that no build uses were removed from the store, and the command runs once more", size>>20)})
		var root *snapshot.Active
		var full bool
		if root, full, err = attempt(); !full {
			return root, err
		}
	}
	return nil, fmt.Errorf("%w; the disk is full: %s", err, w.Store.Space())
}

// run runs the command on root, a writable tree.
func (r *run) run(ctx context.Context, v *solver.Vertex, root *snapshot.Active) error {
	defer func() {
		for _, f := range slices.Backward(r.undo) {
			f()
		}
	}()
	user, home, err := commandUser(root.Below(), r.op.User)
	if err != nil {
		return err
	}
	mounts, err := r.mounts(ctx, v)
	if err != nil {
		return err
	}
	limits, err := r.limits()
	if err != nil {
		return err
	}
	r.tell() //nolint:contextcheck // what it looks at answers at once
	err = r.worker.Host.Run(ctx, sandbox.Spec{
		Root: root.Root(), Args: r.op.Args, Env: r.environment(v, home), Dir: r.op.Dir, User: user,
		Hostname: r.op.Hostname, Mounts: mounts, Network: network(r.op.Network), Limits: limits,
		Insecure: r.op.Insecure, Owners: root.RecordOwners, Stdout: output(r.emit), Stderr: output(r.emit),
	})
	return r.explain(err)
}

// explain says of a failure which command failed.
func (r *run) explain(err error) error {
	var exit *sandbox.ExitError
	var start *sandbox.StartError
	switch {
	case errors.As(err, &exit):
		return fmt.Errorf("process %q %w", strings.Join(r.op.Args, " "), err)
	case errors.As(err, &start):
		return fmt.Errorf("process %q could not be started: %w", strings.Join(r.op.Args, " "), err)
	}
	return err
}

// output is a writer whose bytes become events.
type output func(solver.Event)

func (emit output) Write(p []byte) (int, error) {
	emit(solver.Event{Action: solver.ActionOutput, Output: slices.Clone(p)})
	return len(p), nil
}

// environment returns the variables that the command gets: those of the image and the instruction, and
// what every command finds.
func (r *run) environment(v *solver.Vertex, home string) []string {
	env := slices.Concat(r.op.Env, r.op.Proxy, r.env)
	if home == "" {
		home = "/"
	}
	env = withDefault(env, "HOME", home)
	env = withDefault(env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	if v.Epoch != nil {
		env = withDefault(env, "SOURCE_DATE_EPOCH", strconv.FormatInt(*v.Epoch, 10))
	}
	return env
}

// withDefault adds a variable unless it is there.
func withDefault(env []string, name, value string) []string {
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") }) {
		return env
	}
	return append(env, name+"="+value)
}

func network(n solver.Network) sandbox.Network {
	switch n {
	case solver.NetworkNone:
		return sandbox.NetworkNone
	case solver.NetworkHost:
		return sandbox.NetworkHost
	case solver.NetworkDefault:
		return sandbox.NetworkPrivate
	}
	return sandbox.NetworkPrivate
}

func (r *run) limits() (sandbox.Limits, error) {
	l := sandbox.Limits{
		ShmSize: r.op.Limits.ShmSize, Resources: r.worker.Resources, CgroupParent: r.op.Limits.CgroupParent,
	}
	for _, u := range r.op.Limits.Ulimits {
		resource, ok := sandbox.Resource(u.Name)
		if !ok {
			return l, fmt.Errorf("there is no resource limit %q", u.Name)
		}
		limit := sandbox.Rlimit{Resource: resource, Soft: uint64(u.Soft), Hard: uint64(u.Hard)}
		if err := limit.Check(); err != nil {
			return l, fmt.Errorf("limiting %s: %w", u.Name, err)
		}
		l.Rlimits = append(l.Rlimits, limit)
	}
	return l, nil
}

// keep closes f when the command has ended.
func (r *run) keep(f *os.File) *os.File {
	r.undo = append(r.undo, func() { f.Close() })
	return f
}

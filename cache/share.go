//go:build linux

package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/seed-298d225e/builder/solver"
)

// Target is a shared cache that is written to. Make it with NewTarget.
type Target struct {
	TargetOptions
	writer Writer
	slots  *semaphore.Weighted

	mu sync.Mutex
	// err is the first failure. After it nothing more is tried.
	err error
}

// TargetOptions say what is shared.
type TargetOptions struct {
	// Name is what the cache is called on the command line, the same as that of a Source if it is the same.
	Name string
	// Max shares all steps, not only those whose layers are part of the result.
	Max bool
	// Mounts takes the content of cache directories, nil if it is not wanted.
	Mounts Mounts
	// Required: what cannot be shared fails the build.
	Required bool
}

// shareLimit is how many records are shared with one target at once.
const shareLimit = 8

// NewTarget returns a shared cache to write to.
func NewTarget(w Writer, o TargetOptions) *Target {
	return &Target{TargetOptions: o, writer: w, slots: semaphore.NewWeighted(shareLimit)}
}

// share shares a record with all targets that want it, and returns when they have it.
func (t *Tiers) share(ctx context.Context, r solver.Record) {
	var g errgroup.Group
	for _, to := range t.To {
		if r.Shipped || to.Max {
			g.Go(func() error { to.try(ctx, r, t.Layers); return nil })
		}
	}
	_ = g.Wait() // failures are kept with their targets
}

// Finish ends a build whose error is err: what came from shared caches and is here now is kept, and what could
// not be shared is told. It returns err, or else the failure of a target that is required.
func (t *Tiers) Finish(ctx context.Context, err error) error {
	t.settle(ctx)
	for _, to := range t.To {
		switch {
		case to.err == nil:
		case to.Required && err == nil:
			err = fmt.Errorf("writing the cache %s: %w", to.Name, to.err)
		default:
			t.Warn(fmt.Sprintf("writing the cache %s: %v", to.Name, to.err))
		}
	}
	return err
}

// try shares one record, unless the target has it or something has failed before.
func (to *Target) try(ctx context.Context, r solver.Record, layers Layers) {
	if slices.Contains(r.Origins, to.Name) && r.Content == "" || to.failed() {
		return
	}
	if err := to.slots.Acquire(ctx, 1); err != nil {
		return
	}
	defer to.slots.Release(1)
	to.fail(ctx, to.share(ctx, r, layers))
}

// share shares one record. Keys that are there already are left alone, unless it was made anew.
func (to *Target) share(ctx context.Context, r solver.Record, layers Layers) (err error) {
	keys := r.Keys()
	if !r.Anew {
		keys, err = to.missing(ctx, keys)
	}
	if err != nil || len(keys) == 0 {
		return err
	}
	d, err := describe(r, layers)
	if err != nil {
		return err
	}
	d.Keys, d.replaces = toHex(keys), r.Anew
	return to.writer.Share(ctx, d, r.Layer)
}

// missing returns those keys under which there is no document.
func (to *Target) missing(ctx context.Context, keys []v1.Hash) ([]v1.Hash, error) {
	there := make([]bool, len(keys))
	var g errgroup.Group
	for i, key := range keys {
		g.Go(func() (err error) { there[i], err = to.writer.Has(ctx, key); return err })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var missing []v1.Hash
	for i, key := range keys {
		if !there[i] {
			missing = append(missing, key)
		}
	}
	return missing, nil
}

// fail notes the first failure. That a layer of another cache could not be read is not one of the target.
func (to *Target) fail(ctx context.Context, err error) {
	var reading *LayerError
	if err == nil || ctx.Err() != nil || errors.As(err, &reading) {
		return
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	if to.err == nil {
		to.err = err
	}
}

func (to *Target) failed() bool {
	to.mu.Lock()
	defer to.mu.Unlock()
	return to.err != nil
}

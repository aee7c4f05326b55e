//go:build linux

package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/semaphore"

	"github.com/seed-298d225e/builder/solver"
)

// Patience is how long an answer of a shared cache is waited for. What takes longer is a miss.
const Patience = 10 * time.Second

// Tiers is the cache of a build: that of this machine, and shared ones behind it.
type Tiers struct {
	*Dir
	// From are read, in this order of preference.
	From []*Source
	// To are written to.
	To []*Target
	// Warn tells the user something, once.
	Warn func(text string)

	known sync.Map // operation → func() bool
	// borrowed are the records of shared caches that were used, to be kept if their layers are.
	mu       sync.Mutex
	borrowed []solver.Record
}

// Source is a shared cache that is read.
type Source struct {
	// Name is what it is called on the command line.
	Name   string
	Remote Remote
	// Mounts gives the content of cache directories, nil if it is not wanted.
	Mounts Mounts
	failed atomic.Bool
	once   sync.Once
	slots  *semaphore.Weighted
}

// askLimit is how many answers of a shared cache are waited for at once.
const askLimit = 32

// acquire waits until the cache may be asked something.
func (s *Source) acquire(ctx context.Context) (release func(), err error) {
	s.once.Do(func() { s.slots = semaphore.NewWeighted(askLimit) })
	return func() { s.slots.Release(1) }, s.slots.Acquire(ctx, 1)
}

// Disable makes everything a miss from now on.
func (s *Source) Disable() { s.failed.Store(true) }

// Known reports whether there may be a record of an operation anywhere.
func (t *Tiers) Known(ctx context.Context, op v1.Hash) bool {
	if t.Dir.Known(ctx, op) {
		return true
	}
	ask := sync.OnceValue(func() bool {
		_, ok := first(t.From, func(s *Source) (struct{}, bool) {
			var known bool
			t.ask(ctx, s, func(ctx context.Context) (err error) { known, err = s.Remote.Known(ctx, op); return err })
			return struct{}{}, known
		})
		return ok
	})
	once, _ := t.known.LoadOrStore(op, ask)
	known, ok := once.(func() bool)
	return ok && known()
}

// Get returns the record of a key. All shared caches are asked at once.
func (t *Tiers) Get(ctx context.Context, op, key v1.Hash) (solver.Record, error) {
	r, err := t.Dir.Get(ctx, op, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	if found, ok := first(t.From, func(s *Source) (solver.Record, bool) { return t.find(ctx, s, op, key) }); ok {
		return found, nil
	}
	return r, err
}

// first calls get for all sources side by side and returns the first success in their order.
func first[T any](sources []*Source, get func(*Source) (T, bool)) (value T, ok bool) {
	type answer struct {
		value T
		ok    bool
	}
	answers := make([]chan answer, len(sources))
	for i, s := range sources {
		answers[i] = make(chan answer, 1)
		go func() {
			v, ok := get(s)
			answers[i] <- answer{v, ok}
		}()
	}
	for _, a := range answers {
		if got := <-a; got.ok && !ok {
			value, ok = got.value, true
		}
	}
	return value, ok
}

func (t *Tiers) find(ctx context.Context, s *Source, op, key v1.Hash) (r solver.Record, ok bool) {
	var d Document
	t.ask(ctx, s, func(ctx context.Context) (err error) { d, err = s.Remote.Find(ctx, key); return err })
	if d.Op != op.Hex {
		return r, false
	}
	l, err := t.Layers.Lend(ctx, &lent{s.Remote.Blob(ctx, d), s.Name}, d.Traits)
	if err != nil {
		t.fail(ctx, s, err)
		return r, false
	}
	return solver.Record{Op: op, Inputs: fromHex(d.Inputs), Layer: l, Origins: []string{s.Name}}, true
}

// ask asks a shared cache something, unless it has failed before. After a failure the build goes on without it.
func (t *Tiers) ask(ctx context.Context, s *Source, question func(context.Context) error) {
	release, err := s.acquire(ctx)
	if err != nil {
		return
	}
	defer release()
	if s.failed.Load() {
		return
	}
	asking, cancel := context.WithTimeoutCause(ctx, Patience, fmt.Errorf("there was no answer within %s", Patience))
	defer cancel()
	err = question(asking)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = context.Cause(asking)
	}
	t.fail(ctx, s, err)
}

func (t *Tiers) fail(ctx context.Context, s *Source, err error) {
	if ctx.Err() == nil && s.failed.CompareAndSwap(false, true) {
		t.Warn(fmt.Sprintf("reading the cache %s: %v; the build goes on without it", s.Name, err))
	}
}

// Use shares a record, and notes those that came from elsewhere.
func (t *Tiers) Use(ctx context.Context, r solver.Record) {
	if len(r.Origins) > 0 {
		t.mu.Lock()
		t.borrowed = append(t.borrowed, r)
		t.mu.Unlock()
	}
	t.share(ctx, r)
}

// settle keeps the records of shared caches whose layers have come to be on this machine.
func (t *Tiers) settle(ctx context.Context) {
	t.mu.Lock()
	borrowed := t.borrowed
	t.borrowed = nil
	t.mu.Unlock()
	for _, r := range borrowed {
		if err := t.Put(ctx, r); err != nil {
			t.Warn(fmt.Sprintf("keeping a result of the cache %s: %v", r.Origins[0], err))
			return
		}
	}
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/guard"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/ops"
)

// secretGuard keeps the secrets of a build out of what the build makes and shows.
type secretGuard struct {
	*guard.Guard
	// permitted: --allow secret-in-layer.
	permitted bool
	emit      func(solver.Event)
	// stop ends the build because of an error.
	stop context.CancelCauseFunc

	mu sync.Mutex
	// first is the first leak that is not permitted.
	first *leakError
	told  map[ops.Leak]bool
	// made are the layers that steps of this process made.
	made []v1.Layer
}

// leakError is a secret of the build in what the build makes.
type leakError struct {
	// at is where in the Dockerfile the cause stands.
	at   solver.Location
	text string
}

func (e *leakError) Error() string { return e.text }

// newGuard returns the guard of the secrets given with --secret. Without any it does nothing.
func (b *build) newGuard() *secretGuard {
	values := map[string][]byte{}
	var short []string
	for id, source := range b.secrets {
		value, err := source.read()
		if err != nil {
			continue // whoever uses it is told
		}
		values[id] = value
		if guard.TooShort(value) && len(value) > 0 {
			short = append(short, id)
		}
	}
	if len(short) > 0 {
		slices.Sort(short)
		b.notice(fmt.Sprintf("secrets of less than %d bytes are not looked for in the image: %s", guard.MinLength, strings.Join(short, ", ")))
	}
	return &secretGuard{Guard: guard.New(values), permitted: b.allowLeaks, emit: b.display.Emit, told: map[ops.Leak]bool{}}
}

// found decides about a secret in a layer.
func (g *secretGuard) found(l ops.Leak) error {
	step := l.Vertex.Step
	err := &leakError{step.Location, fmt.Sprintf("%s: the secret %q is in a file of this step's layer: /%s", g.Mask(step.Text), l.Secret, l.Path)}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.permitted && !g.told[l]:
		g.told[l] = true
		g.emit(solver.Event{Time: time.Now(), Action: solver.ActionWarning, Vertex: l.Vertex.Digest(), Text: err.text, Step: solver.Step{Location: err.at}})
		return nil
	case g.permitted:
		return nil
	case g.first == nil:
		g.first = err
		g.stop(err)
	}
	return err
}

// leaked returns the first leak that was found, nil if none was.
func (g *secretGuard) leaked() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == nil {
		return nil
	}
	return g.first
}

// watch makes w look for secrets in the layers it makes, and take them out of what commands print.
func (g *secretGuard) watch(w *ops.Worker) *watchedWorker {
	w.Guard, w.Leaked = g.Guard, g.found
	return &watchedWorker{w, g}
}

// watchedWorker is a worker that shows nothing secret of its steps.
type watchedWorker struct {
	*ops.Worker
	guard *secretGuard
}

// Run implements solver.Worker.
func (w *watchedWorker) Run(ctx context.Context, v *solver.Vertex, inputs []solver.Tree, emit func(solver.Event)) (v1.Layer, error) {
	if w.guard.Guard == nil {
		return w.Worker.Run(ctx, v, inputs, emit)
	}
	var told []string
	m := w.guard.Masker(
		func(b []byte) { emit(solver.Event{Action: solver.ActionOutput, Output: b}) },
		func(id string) {
			if !slices.Contains(told, id) {
				told = append(told, id)
				emit(solver.Event{Action: solver.ActionWarning, Text: fmt.Sprintf("the command prints the secret %q, which is shown as ***", id)})
			}
		})
	var mu sync.Mutex // a command has two streams
	l, err := w.Worker.Run(ctx, v, inputs, func(e solver.Event) {
		if e.Action != solver.ActionOutput {
			emit(e)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		m.Write(e.Output)
	})
	m.Flush()
	if err == nil {
		w.guard.mu.Lock()
		w.guard.made = append(w.guard.made, l)
		w.guard.mu.Unlock()
	}
	return l, err
}

// masked passes an event on to the display without secrets.
func (g *secretGuard) masked(emit func(solver.Event)) func(solver.Event) {
	if g.Guard == nil {
		return emit
	}
	return func(e solver.Event) {
		e.Text, e.Err, e.Step.Text = g.Mask(e.Text), g.Mask(e.Err), g.Mask(e.Step.Text)
		emit(e)
	}
}

// failure returns f without secrets.
func (g *secretGuard) failure(f display.Failure) display.Failure {
	if g == nil || g.Guard == nil {
		return f
	}
	f.Message, f.Excerpt = g.Mask(f.Message), g.Mask(f.Excerpt)
	return f
}

// scanned waits until every layer that was made here and is kept in any form has been read, and so searched.
func (g *secretGuard) scanned() error {
	g.mu.Lock()
	made := slices.Clone(g.made)
	g.mu.Unlock()
	for _, l := range made {
		if pending(l) {
			continue
		}
		if _, err := solver.ContentID(l); err != nil {
			return errors.Join(g.leaked(), err)
		}
	}
	return g.leaked()
}

// pending reports whether nobody has asked for the bytes of a layer so far.
func pending(l v1.Layer) bool {
	p, ok := l.(interface{ Pending() bool })
	return ok && p.Pending()
}

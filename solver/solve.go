package solver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Worker does what vertices say.
type Worker interface {
	// Source returns the tree of a vertex without inputs. It moves no file data of layers.
	Source(ctx context.Context, v *Vertex) (Tree, error)
	// Digest names the content of what v reads of t, its i-th input (never the first).
	Digest(ctx context.Context, v *Vertex, i int, t Tree) (v1.Hash, error)
	// Files lists what v reads of t, its i-th input: the path of each file and a text that changes with it. It is nil
	// if they are too many.
	Files(ctx context.Context, v *Vertex, i int, t Tree) (map[string]string, error)
	// Run does the step on the trees of its inputs and returns the layer that it adds to the first.
	Run(ctx context.Context, v *Vertex, inputs []Tree, emit func(Event)) (v1.Layer, error)
}

// Solver solves graphs. All fields must be set except Beside, Diary, Settled and Ready.
type Solver struct {
	Worker Worker
	Cache  Cache
	// Jobs is how many steps may run at once.
	Jobs int
	// Emit is told what happens, from many goroutines at once.
	Emit func(Event)
	// Beside are vertices that are solved too. Their trees are given to use after those of the roots, but not to
	// Ready.
	Beside []*Vertex
	// Diary remembers builds, so that the next one can say why a step runs; nil if nobody wants to know.
	Diary Diary
	// Settled: the trees are only given to use when what is known of their layers has been put into the cache.
	Settled bool
	// Ready, if not nil, is given every layer of the trees asked for as soon as it is final, so that it
	// can be moved while later steps run. It must not block.
	Ready func(v1.Layer)
}

// Solve solves the roots and gives their trees to use. What can be done after that, remembering results,
// goes on beside use, and after a failure; Solve returns when all is done. The error is that of the first failure.
func (s *Solver) Solve(ctx context.Context, roots []*Vertex, use func(context.Context, []Tree) error) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	good, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	b := &build{
		Solver: s, slots: semaphore.NewWeighted(int64(s.Jobs)), fail: fail, used: make(chan struct{}),
		cause:  func() error { return context.Cause(good) },
		onFail: func(f func()) (undo func() bool) { return context.AfterFunc(good, f) },
	}
	all := slices.Concat(roots, s.Beside)
	nodes := b.graph(ctx, all, len(roots))

	b.background.Go(func() error {
		for _, n := range nodes {
			if !n.v.Source() {
				b.background.Go(func() error { _, _ = n.record(); return nil })
			}
		}
		return nil
	})
	err := b.use(good, nodes, all, use)
	close(b.used)
	if err != nil {
		fail(err)
	}
	_ = b.background.Wait() // remembering cannot fail
	if b.Diary != nil {
		b.Diary.Write(b.account(nodes))
	}
	if cause := context.Cause(good); cause != nil && err != nil {
		return cause
	}
	return err
}

// build is one call of Solve.
type build struct {
	*Solver
	slots *semaphore.Weighted
	// fail notes a failure, of which cause returns the first, and calls what was registered with onFail. That
	// stops steps, but what was done before is still remembered: all contexts but those of steps only end
	// with Solve, or when the user has enough.
	fail       context.CancelCauseFunc
	cause      func() error
	onFail     func(func()) (undo func() bool)
	background errgroup.Group
	// shipping is what goes on in the background for layers of trees asked for.
	shipping sync.WaitGroup
	// used is closed when the trees have been used.
	used chan struct{}
}

// node is a vertex of a build. Its functions compute once, however many ask.
type node struct {
	v      *Vertex
	op     v1.Hash
	inputs []*node
	// fresh: the step or one below it was asked not to come from the cache.
	fresh bool
	// reads: the definition of the step says what files hold that must be read for that.
	reads bool
	// shipped: the layer is part of a tree asked for.
	shipped bool
	// origins are the shared caches that the result or one below it came from, set before solved is.
	origins []string
	solved  atomic.Bool

	// told guards what is told of the step: what became of it and why, the step of the last build that was most like
	// it, and the text of the content key once it was worked out.
	told    sync.Mutex
	outcome Outcome
	reason  string
	before  *StepAccount
	content string

	tree       func() (Tree, error)
	definition func() (*Text, error)
	// record is what is remembered under the definition key, nil if nothing is.
	record     func() (*Record, error)
	prediction func() (prediction, error)
	// contents name what the step reads of each input that is not the first.
	contents []func() (v1.Hash, error)
}

// graph makes the nodes of all reachable vertices, inputs before what uses them. The first roots are shipped.
func (b *build) graph(ctx context.Context, roots []*Vertex, shipped int) []*node {
	byDigest := map[v1.Hash]*node{}
	var nodes []*node
	Walk(roots, func(v *Vertex) {
		n := &node{v: v, op: OpID(v), fresh: v.NoCache}
		for _, in := range v.Inputs {
			input := byDigest[in.digest]
			n.inputs = append(n.inputs, input)
			n.fresh = n.fresh || input.fresh
			n.reads = n.reads || input.reads || in.Source() && !in.definite()
		}
		b.bind(ctx, n)
		byDigest[v.digest] = n
		nodes = append(nodes, n)
	})
	for _, r := range roots[:shipped] {
		for n := byDigest[r.digest]; ; n = n.inputs[0] {
			n.shipped = true
			if len(n.inputs) == 0 {
				break
			}
		}
	}
	return nodes
}

func (b *build) bind(ctx context.Context, n *node) {
	n.tree = sync.OnceValues(func() (Tree, error) {
		t, err := b.solve(ctx, n)
		if err != nil {
			b.fail(err)
		}
		n.solved.Store(true)
		return t, err
	})
	n.definition = sync.OnceValues(func() (*Text, error) { return b.definitionKey(n) })
	n.record = sync.OnceValues(func() (*Record, error) { return b.definitionRecord(ctx, n) })
	n.prediction = sync.OnceValues(func() (prediction, error) { return b.predict(n) })
	n.contents = make([]func() (v1.Hash, error), len(n.inputs))
	for i, in := range n.inputs {
		n.contents[i] = sync.OnceValues(func() (v1.Hash, error) {
			t, err := in.tree()
			if err != nil {
				return v1.Hash{}, err
			}
			h, err := b.Worker.Digest(ctx, n.v, i, t)
			if err != nil {
				return v1.Hash{}, b.failed(n, err)
			}
			return h, nil
		})
	}
}

func (b *build) use(ctx context.Context, nodes []*node, roots []*Vertex, use func(context.Context, []Tree) error) error {
	byDigest := make(map[v1.Hash]*node, len(nodes))
	for _, n := range nodes {
		byDigest[n.v.digest] = n
	}
	targets := make([]*node, len(roots))
	for i, r := range roots {
		targets[i] = byDigest[r.digest]
	}
	trees, err := solveAll(targets)
	if err != nil {
		return err
	}
	if b.Settled {
		b.shipping.Wait()
	}
	return use(ctx, trees)
}

// beside does f in the background, for a result of n.
func (b *build) beside(n *node, f func()) {
	if n.shipped {
		b.shipping.Add(1)
	}
	b.background.Go(func() error {
		if n.shipped {
			defer b.shipping.Done()
		}
		f()
		return nil
	})
}

func solveAll(nodes []*node) ([]Tree, error) {
	trees := make([]Tree, len(nodes))
	var g errgroup.Group
	for i, n := range nodes {
		g.Go(func() (err error) { trees[i], err = n.tree(); return err })
	}
	return trees, g.Wait()
}

func (b *build) solve(ctx context.Context, n *node) (Tree, error) {
	if n.v.Source() {
		return b.source(ctx, n)
	}
	r, err := n.record()
	if err != nil {
		return Tree{}, err
	}
	if r != nil {
		base, err := n.inputs[0].tree()
		if err != nil {
			return Tree{}, err
		}
		if ok, err := b.agrees(n, base, r); err != nil {
			return Tree{}, err
		} else if ok {
			return b.predicted(ctx, n, base, r), nil
		}
	}
	inputs, err := solveAll(n.inputs)
	if err != nil {
		return Tree{}, err
	}
	if !n.v.NoCache && b.Cache.Known(ctx, n.op) {
		key, err := b.contentKey(n, inputs)
		if err != nil {
			return Tree{}, err
		}
		if r = b.lookup(ctx, n, key); r != nil {
			t := b.cached(n, inputs[0], r)
			b.remember(ctx, n, inputs, *r, func() {})
			return t, nil
		}
	}
	return b.run(ctx, n, inputs)
}

func (b *build) source(ctx context.Context, n *node) (Tree, error) {
	t, err := b.Worker.Source(ctx, n.v)
	if err != nil {
		return Tree{}, b.failed(n, err)
	}
	if n.shipped && b.Ready != nil {
		for _, l := range t.Layers {
			b.Ready(l)
		}
	}
	return t, nil
}

// cached ends a step whose result was remembered.
func (b *build) cached(n *node, base Tree, r *Record) Tree {
	n.tell(OutcomeCached)
	b.Emit(Event{Time: time.Now(), Action: ActionCached, Vertex: n.v.digest, Step: n.v.Step, Platform: n.v.Platform})
	return b.finish(n, base, *r)
}

// predicted is cached for a record that was found by the definition.
func (b *build) predicted(ctx context.Context, n *node, base Tree, r *Record) Tree {
	n.worked(r.Content)
	used := *r
	used.Step, used.Shipped = n.v.Step.Text, n.shipped
	if d, err := n.definition(); err == nil && used.Definition == "" {
		used.Definition = d.String()
	}
	b.beside(n, func() { b.Cache.Use(ctx, used) })
	return b.cached(n, base, r)
}

// finish ends a step that went well.
func (b *build) finish(n *node, base Tree, r Record) Tree {
	n.origins = slices.Concat(r.Origins, r.Below, n.below())
	if n.shipped && b.Ready != nil {
		b.Ready(r.Layer)
	}
	return base.With(r.Layer)
}

// below names the shared caches that results below n came from, as far as this build has looked at them.
func (n *node) below() []string {
	var all []string
	for _, in := range n.inputs {
		if in.solved.Load() {
			all = append(all, in.origins...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// run runs the step, unless another process was doing just that: then its result is taken.
func (b *build) run(ctx context.Context, n *node, inputs []Tree) (Tree, error) {
	running, stop := context.WithCancelCause(ctx)
	undo := b.onFail(func() { stop(b.cause()) })
	t, err := b.runUntil(running, n, inputs)
	if err != nil || !undo() {
		stop(nil)
		return t, err
	}
	context.AfterFunc(ctx, func() { stop(nil) }) // the layer may be read with that context as long as the build goes on
	return t, nil
}

func (b *build) runUntil(ctx context.Context, n *node, inputs []Tree) (Tree, error) {
	unlock, r, err := b.lock(ctx, n, inputs)
	if err != nil {
		unlock()
		return Tree{}, b.failed(n, err)
	}
	if r != nil {
		unlock()
		return b.predicted(ctx, n, inputs[0], r), nil
	}
	l, err := b.perform(ctx, n, inputs)
	if err != nil {
		unlock()
		return Tree{}, b.failed(n, err)
	}
	t := b.finish(n, inputs[0], Record{Layer: l})
	b.remember(ctx, n, inputs, Record{Layer: l, Anew: n.fresh}, unlock) // who waits for the lock wants to find the record
	return t, nil
}

// perform runs the step when there is a slot for it.
func (b *build) perform(ctx context.Context, n *node, inputs []Tree) (v1.Layer, error) {
	if err := b.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer b.slots.Release(1)
	emit := func(e Event) {
		e.Time, e.Vertex = time.Now(), n.v.digest
		b.Emit(e)
	}
	n.tell(OutcomeFailed) // until it has ended well
	emit(Event{Action: ActionStart, Step: n.v.Step, Platform: n.v.Platform, Text: b.explain(ctx, n, inputs)})
	l, err := b.Worker.Run(ctx, n.v, inputs, emit)
	if err == nil {
		n.tell(OutcomeRan)
		emit(Event{Action: ActionDone})
	}
	return l, err
}

// failed reports the failure of a step. A step that was only stopped because another failed is not one.
func (b *build) failed(n *node, err error) error {
	if cause := b.cause(); cause != nil {
		return cause
	}
	if _, told := errors.AsType[*VertexError](err); told {
		return err
	}
	failure := &VertexError{Vertex: n.v, Err: err}
	b.fail(failure) // so that who meets the same failure elsewhere does not report it again
	b.Emit(Event{
		Time: time.Now(), Action: ActionFailed, Vertex: n.v.digest, Err: err.Error(),
		Step: n.v.Step, Platform: n.v.Platform,
	})
	return failure
}

// lock makes sure that no other process runs the command of n now. If one was doing that, its record is
// returned. Only commands are worth waiting for.
func (b *build) lock(ctx context.Context, n *node, inputs []Tree) (unlock func(), r *Record, err error) {
	unlock = func() {}
	if _, ok := n.v.Op.(Exec); !ok || n.fresh {
		return unlock, nil, nil
	}
	key, err := n.definition()
	if err != nil {
		return unlock, nil, err
	}
	locked, waited, err := b.Cache.Lock(ctx, key.Hash())
	if err != nil {
		return unlock, nil, err
	}
	unlock = locked
	if !waited {
		return unlock, nil, nil
	}
	r = b.lookup(ctx, n, key)
	if r == nil {
		return unlock, nil, nil
	}
	ok, err := b.agrees(n, inputs[0], r)
	if err != nil || !ok {
		return unlock, nil, err
	}
	return unlock, r, nil
}

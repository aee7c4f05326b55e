package solver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// fakeDiary remembers one build in memory.
type fakeDiary struct {
	mu    sync.Mutex
	last  *Account
	files map[v1.Hash]map[string]string
}

func (d *fakeDiary) Last() *Account {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

func (d *fakeDiary) Write(a Account) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = &a
}

func (d *fakeDiary) Files(digest v1.Hash) map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files[digest]
}

func (d *fakeDiary) WriteFiles(digest v1.Hash, files map[string]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[digest] = files
}

// located gives the steps of one stage their places, from the bottom.
func located(stage string, v *Vertex) *Vertex {
	made := *v
	if len(v.Inputs) > 0 {
		made.Inputs = slices.Clone(v.Inputs)
		made.Inputs[0] = located(stage, v.Inputs[0])
		made.Step.Stage, made.Step.Index = stage, made.Inputs[0].Step.Index+1
	}
	return NewVertex(made)
}

func withEnv(in *Vertex, env ...string) *Vertex {
	return NewVertex(Vertex{
		Op: Exec{Args: []string{"give", strings.Join(env, " ")}, Env: env}, Inputs: []*Vertex{in}, Step: Step{Text: "RUN make"},
	})
}

// Every step that runs says what is different from the build before.
func TestReasons(t *testing.T) {
	source := NewVertex(Vertex{Op: Local{Name: "context"}})
	moved := func(digest string) *Vertex {
		return NewVertex(Vertex{Op: Image{Ref: "base@sha256:" + digest, DiffIDs: []v1.Hash{{Algorithm: "sha256", Hex: digest}}}})
	}
	for _, c := range []struct {
		name          string
		before, after *Vertex
		files         [2]string
		want          map[string]string
	}{
		{
			"nothing was built before", nil, run(base("a"), "give", "x"),
			[2]string{},
			map[string]string{"give x": "no record: first build of this step here"},
		},
		{
			"a variable", withEnv(base("a"), "FOO=1", "BAR=1"), withEnv(base("a"), "FOO=2", "NEW=1", "BAR=1"),
			[2]string{},
			map[string]string{"RUN make": "command changed, env FOO changed, env NEW added"},
		},
		{
			"the base", run(moved("aa"), "give", "x"), run(moved("bb"), "give", "x"),
			[2]string{},
			map[string]string{"give x": "base moved: sha256:aa → sha256:bb"},
		},
		{
			"files", copyFrom(base("a"), source, "src"), copyFrom(base("a"), source, "src"),
			[2]string{"a=1 b=1 c=1 d=1", "a=1 b=2 c=2 e=1"},
			map[string]string{"copy src": "2 of 4 files changed, 1 added, 1 removed: b, c, e and 1 more"},
		},
		{
			"what is below", run(run(base("a"), "give", "x"), "give", "end"), run(run(base("a"), "give", "y"), "give", "end"),
			[2]string{},
			map[string]string{"give y": "command changed", "give end": "it follows give y instead of give x"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, diary, remembered := &fakeWorker{context: c.files[0]}, &fakeDiary{files: map[v1.Hash]map[string]string{}}, newFakeCache()
			if c.before != nil {
				reasonsOf(t, w, diary, remembered, located("main", c.before))
				reasonsOf(t, w, diary, remembered, located("main", c.before)) // all cached
			}
			w.context = c.files[1]
			got := reasonsOf(t, w, diary, remembered, located("main", c.after))
			for step, want := range c.want {
				if got[step] != want {
					t.Errorf("%s: got %q, want %q", step, got[step], want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, s := range diary.last.Steps {
				if s.Outcome != OutcomeRan || s.Reason != c.want[s.Step] {
					t.Errorf("the account says %s, %q of %s", s.Outcome, s.Reason, s.Step)
				}
			}
		})
	}
}

// reasonsOf builds and returns why steps ran.
func reasonsOf(t *testing.T, w *fakeWorker, d Diary, c Cache, root *Vertex) map[string]string {
	t.Helper()
	var mu sync.Mutex
	reasons := map[string]string{}
	s := Solver{Worker: w, Cache: c, Jobs: 4, Diary: d, Emit: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Action == ActionStart {
			reasons[e.Step.Text] = e.Text
		}
	}}
	if err := s.Solve(t.Context(), []*Vertex{root}, func(context.Context, []Tree) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return reasons
}

// What was done before a failure is remembered.
func TestFailureForgetsNothing(t *testing.T) {
	w, c := &fakeWorker{}, newFakeCache()
	failing := run(run(base("0"), "give", "a"), "fail")
	if _, err := solveWith(t, w, c, failing); err == nil {
		t.Fatal("the build did not fail")
	}
	ran, err := solveWith(t, w, c, failing)
	if err == nil || !slices.Equal(ran, []string{"fail"}) {
		t.Errorf("ran %q, %v", ran, err)
	}
}

// pendingLayer is a layer that nobody has asked for until it is packed.
type pendingLayer struct {
	fakeLayer
	wanted chan struct{}
}

func (l *pendingLayer) Pending() bool {
	select {
	case <-l.wanted:
		return false
	default:
		return true
	}
}

// giver gives one layer.
type giver struct {
	fakeWorker
	layer v1.Layer
}

func (g *giver) Run(context.Context, *Vertex, []Tree, func(Event)) (v1.Layer, error) {
	return g.layer, nil
}

// lockedCache tells whether a step is still locked.
type lockedCache struct {
	*fakeCache
	locked sync.WaitGroup
}

func (c *lockedCache) Lock(context.Context, v1.Hash) (func(), bool, error) {
	c.locked.Add(1)
	return c.locked.Done, false, nil
}

// A layer of which no byte was wanted when the build ends is not remembered, because it would have to be read for
// that; one that was wanted while the trees were used is. In both cases the step is unlocked.
func TestPendingLayer(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		l := &pendingLayer{"x", make(chan struct{})}
		c := &lockedCache{fakeCache: newFakeCache()}
		s := Solver{Worker: &giver{layer: l}, Cache: c, Jobs: 1, Emit: func(Event) {}}
		v := run(base("0"), "give", "x")
		err := s.Solve(t.Context(), []*Vertex{v}, func(context.Context, []Tree) error {
			if wanted {
				close(l.wanted)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		c.locked.Wait()
		if c.Known(t.Context(), OpID(v)) != wanted {
			t.Errorf("wanted %t, remembered %t", wanted, !wanted)
		}
	}
}

// borrowingCache notes which records are used.
type borrowingCache struct {
	*fakeCache
	mu   sync.Mutex
	used []Record
}

func (c *borrowingCache) Use(_ context.Context, r Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = append(c.used, r)
}

// What runs on a result of a shared cache says so, to whatever is built on it.
func TestOriginsAreInherited(t *testing.T) {
	w, c := &fakeWorker{}, &borrowingCache{fakeCache: newFakeCache()}
	lower := run(base("0"), "give", "a")
	if _, err := solveWith(t, w, c, lower); err != nil {
		t.Fatal(err)
	}
	for key, r := range c.records {
		r.Origins = []string{"elsewhere"}
		c.records[key] = r
	}
	c.used = nil
	if _, err := solveWith(t, w, c, run(run(lower, "give", "b"), "give", "c")); err != nil {
		t.Fatal(err)
	}
	for _, r := range c.used {
		borrowed := r.Step == "give a"
		if slices.Contains(r.Origins, "elsewhere") != borrowed || slices.Contains(r.Below, "elsewhere") == borrowed {
			t.Errorf("%s has the origins %q and below %q", r.Step, r.Origins, r.Below)
		}
	}
	if len(c.used) != 3 {
		t.Errorf("%d results were used", len(c.used))
	}
}

// With Settled, the trees are used when all of their layers have been put into the cache.
func TestSettled(t *testing.T) {
	c := newFakeCache()
	s := Solver{Worker: &fakeWorker{}, Cache: c, Jobs: 1, Emit: func(Event) {}, Settled: true}
	v := run(run(base("0"), "give", "a"), "give", "b")
	err := s.Solve(t.Context(), []*Vertex{v}, func(ctx context.Context, _ []Tree) error {
		if !c.Known(ctx, OpID(v)) || !c.Known(ctx, OpID(v.Inputs[0])) {
			return errors.New("something is missing")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

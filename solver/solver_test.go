package solver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fakeLayer is a layer that holds a string.
type fakeLayer string

func (l fakeLayer) ContentID() (v1.Hash, error) { return hash([]byte(l)), nil }
func (l fakeLayer) DiffID() (v1.Hash, error)    { return hash([]byte(l)), nil }
func (l fakeLayer) Digest() (v1.Hash, error)    { return hash([]byte(l)), nil }
func (l fakeLayer) Size() (int64, error)        { return int64(len(l)), nil }
func (l fakeLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader([]byte(l))), nil
}

func (l fakeLayer) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader([]byte(l))), nil
}
func (l fakeLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// fakeWorker runs commands made of words: "give X" adds a layer X, "count" one that is another each time, "fail", "wait"
// until canceled.
type fakeWorker struct {
	mu      sync.Mutex
	ran     []string
	counted int
	// context is what the build context holds.
	context string
	running func(delta int)
}

func (w *fakeWorker) Source(_ context.Context, v *Vertex) (Tree, error) {
	switch op := v.Op.(type) {
	case Image:
		var t Tree
		for _, d := range op.DiffIDs {
			t = t.With(fakeLayer(d.Hex))
		}
		return t, nil
	case Local:
		return Tree{Local: &Files{Dir: op.Dir}}, nil
	default:
		return Tree{}, nil
	}
}

func (w *fakeWorker) Digest(_ context.Context, v *Vertex, i int, t Tree) (v1.Hash, error) {
	if t.Local != nil {
		return hash([]byte(w.context)), nil
	}
	for _, s := range v.Op.(Copy).Sources { // reads the layer that is named like the path
		for _, l := range t.Layers {
			if s.Input == i && strings.HasPrefix(string(l.(fakeLayer)), s.Path) {
				return hash([]byte(l.(fakeLayer))), nil
			}
		}
	}
	return v1.Hash{}, fs.ErrNotExist
}

func (w *fakeWorker) Files(context.Context, *Vertex, int, Tree) (map[string]string, error) {
	files := map[string]string{}
	for f := range strings.FieldsSeq(w.context) {
		name, _, _ := strings.Cut(f, "=")
		files[name] = f
	}
	return files, nil
}

func (w *fakeWorker) Run(ctx context.Context, v *Vertex, _ []Tree, _ func(Event)) (v1.Layer, error) {
	if w.running != nil {
		w.running(1)
		defer w.running(-1)
	}
	w.mu.Lock()
	w.ran = append(w.ran, v.Step.Text)
	w.mu.Unlock()
	if c, ok := v.Op.(Copy); ok {
		return fakeLayer(c.Dest + w.context), nil
	}
	switch args := v.Op.(Exec).Args; args[0] {
	case "fail":
		return nil, errors.New("it failed")
	case "count":
		w.counted++
		return fakeLayer(fmt.Sprint(w.counted)), nil
	case "wait":
		<-ctx.Done()
		return nil, ctx.Err()
	default:
		return fakeLayer(args[1]), nil
	}
}

// fakeCache is a map that has been locked by nobody.
type fakeCache struct {
	mu      sync.Mutex
	records map[v1.Hash]Record
	known   map[v1.Hash]bool
}

func newFakeCache() *fakeCache {
	return &fakeCache{records: map[v1.Hash]Record{}, known: map[v1.Hash]bool{}}
}

func (c *fakeCache) Known(_ context.Context, op v1.Hash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[op]
}

func (c *fakeCache) Get(_ context.Context, _, key v1.Hash) (Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.records[key]; ok {
		return r, nil
	}
	return Record{}, fs.ErrNotExist
}

func (c *fakeCache) Put(_ context.Context, r Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[r.Op] = true
	for _, key := range r.Keys() {
		c.records[key] = r
	}
	return nil
}

func (c *fakeCache) Use(context.Context, Record) {}

func (c *fakeCache) Lock(context.Context, v1.Hash) (func(), bool, error) {
	return func() {}, false, nil
}

func base(layers ...string) *Vertex {
	var ids []v1.Hash
	for _, l := range layers {
		ids = append(ids, v1.Hash{Algorithm: "sha256", Hex: l})
	}
	return NewVertex(Vertex{Op: Image{Ref: "base", DiffIDs: ids}})
}

func run(in *Vertex, args ...string) *Vertex {
	return NewVertex(Vertex{Op: Exec{Args: args}, Inputs: []*Vertex{in}, Step: Step{Text: strings.Join(args, " ")}})
}

func copyFrom(in, from *Vertex, path string) *Vertex {
	return NewVertex(Vertex{
		Op:     Copy{Dest: path, Sources: []CopySource{{Input: 1, Path: path}}},
		Inputs: []*Vertex{in, from},
		Step:   Step{Text: "copy " + path},
	})
}

func solveWith(t *testing.T, w *fakeWorker, c Cache, roots ...*Vertex) ([]string, error) {
	t.Helper()
	w.ran = nil
	s := Solver{Worker: w, Cache: c, Jobs: 8, Emit: func(Event) {}}
	err := s.Solve(t.Context(), roots, func(context.Context, []Tree) error { return nil })
	slices.Sort(w.ran)
	return w.ran, err
}

func wantRan(t *testing.T, w *fakeWorker, c Cache, want []string, roots ...*Vertex) {
	t.Helper()
	ran, err := solveWith(t, w, c, roots...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
}

func TestSharedStepRunsOnce(t *testing.T) {
	shared := run(base("a"), "give", "shared")
	wantRan(t, &fakeWorker{}, newFakeCache(), []string{"give shared", "give x", "give y"},
		run(shared, "give", "x"), run(run(base("a"), "give", "shared"), "give", "y"))
}

func TestSecondBuildRunsNothing(t *testing.T) {
	w, c := &fakeWorker{context: "v1"}, newFakeCache()
	context := NewVertex(Vertex{Op: Local{Name: "context"}})
	build := run(copyFrom(run(base("a"), "give", "tools"), context, "src"), "give", "out")
	target := copyFrom(base("b"), build, "out")
	wantRan(t, w, c, []string{"copy out", "copy src", "give out", "give tools"}, target)
	wantRan(t, w, c, nil, target)
}

// A changed context reruns what copies it, but a step whose inputs came out equal does not run again.
func TestEarlyCutoff(t *testing.T) {
	w, c := &fakeWorker{context: "v1"}, newFakeCache()
	context := NewVertex(Vertex{Op: Local{Name: "context"}})
	build := run(copyFrom(base("a"), context, "src"), "give", "out")
	target := run(copyFrom(base("b"), build, "out"), "give", "end")
	wantRan(t, w, c, []string{"copy out", "copy src", "give end", "give out"}, target)
	w.context = "v2"
	// fakeWorker's COPY gives a layer that depends on the context, whatever it copies from.
	wantRan(t, w, c, []string{"copy src", "give out"}, target)
}

// RUN after RUN: the first has other arguments but gives what it gave before.
func TestEarlyCutoffBetweenCommands(t *testing.T) {
	w, c := &fakeWorker{}, newFakeCache()
	wantRan(t, w, c, []string{"give a", "give b"}, run(run(base("0"), "give", "a"), "give", "b"))
	wantRan(t, w, c, []string{"say a"}, run(run(base("0"), "say", "a"), "give", "b"))
}

// A record under a definition key must not be used on another result of the step below it: the records
// of the lower step are gone, and when it runs again it gives something else.
func TestDefinitionRecordNeedsSameInputs(t *testing.T) {
	c := newFakeCache()
	lower := run(base("0"), "give", "a")
	upper := run(lower, "give", "b")
	wantRan(t, &fakeWorker{}, c, []string{"give a", "give b"}, upper)
	for key, r := range c.records {
		if r.Op == OpID(lower) {
			r.Layer = fakeLayer("something else")
			c.records[key] = r
		}
	}
	wantRan(t, &fakeWorker{}, c, []string{"give b"}, upper)
}

func TestNoCacheReachesWhatDependsOnIt(t *testing.T) {
	w, c := &fakeWorker{}, newFakeCache()
	stage := func(nocache bool) *Vertex {
		return NewVertex(Vertex{
			Op: Exec{Args: []string{"give", "a"}}, Inputs: []*Vertex{base("0")},
			NoCache: nocache, Step: Step{Text: "give a"},
		})
	}
	wantRan(t, w, c, []string{"give a", "give b"}, run(stage(false), "give", "b"))
	// The step runs, and since it gives the same content, what follows does not.
	wantRan(t, w, c, []string{"give a"}, run(stage(true), "give", "b"))
}

// What a step that was asked to run gives is what counts from then on, also for steps that are built on it.
func TestNoCacheReplaces(t *testing.T) {
	w, c := &fakeWorker{}, newFakeCache()
	chain := func(nocache bool) *Vertex {
		lower := NewVertex(Vertex{Op: Exec{Args: []string{"count"}}, Inputs: []*Vertex{base("0")}, NoCache: nocache, Step: Step{Text: "count"}})
		return run(lower, "give", "x")
	}
	tree := func(root *Vertex) (id v1.Hash) {
		s := Solver{Worker: w, Cache: c, Jobs: 1, Emit: func(Event) {}}
		err := s.Solve(t.Context(), []*Vertex{root}, func(_ context.Context, trees []Tree) (err error) {
			id, err = trees[0].ID()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first, anew := tree(chain(false)), tree(chain(true))
	if got := tree(chain(false)); got != anew || got == first {
		t.Errorf("got %s, want what the last run gave, %s; the first gave %s", got, anew, first)
	}
}

func TestLinkedCopyIgnoresItsBase(t *testing.T) {
	w, c := &fakeWorker{context: "v1"}, newFakeCache()
	context := NewVertex(Vertex{Op: Local{Name: "context"}})
	link := func(in *Vertex) *Vertex {
		return NewVertex(Vertex{
			Op:     Copy{Dest: "x", Link: true, Sources: []CopySource{{Input: 1, Path: "x"}}},
			Inputs: []*Vertex{in, context}, Step: Step{Text: "link"},
		})
	}
	wantRan(t, w, c, []string{"link"}, link(base("a")))
	wantRan(t, w, c, nil, link(base("b")))
	wantRan(t, w, c, []string{"give c"}, link(run(base("b"), "give", "c")))
}

func TestFirstFailureWins(t *testing.T) {
	for range 200 {
		roots := []*Vertex{run(base("0"), "wait"), run(base("0"), "fail"), run(run(base("1"), "wait"), "give", "x")}
		_, err := solveWith(t, &fakeWorker{}, newFakeCache(), roots...)
		var v *VertexError
		if !errors.As(err, &v) || v.Vertex.Step.Text != "fail" {
			t.Fatalf("got %v, want the failure of the step that failed", err)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := &fakeWorker{running: func(int) { cancel() }}
	s := Solver{Worker: w, Cache: newFakeCache(), Jobs: 1, Emit: func(Event) {}}
	err := s.Solve(ctx, []*Vertex{run(base("0"), "wait")}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestJobsAreBounded(t *testing.T) {
	var mu sync.Mutex
	var now, most int
	w := &fakeWorker{running: func(d int) {
		mu.Lock()
		defer mu.Unlock()
		now += d
		most = max(most, now)
	}}
	var roots []*Vertex
	for i := range 50 {
		roots = append(roots, run(base("0"), "give", fmt.Sprint(i)))
	}
	s := Solver{Worker: w, Cache: newFakeCache(), Jobs: 3, Emit: func(Event) {}}
	if err := s.Solve(t.Context(), roots, func(context.Context, []Tree) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if most > 3 {
		t.Errorf("%d steps ran at once, want at most 3", most)
	}
}

// Every layer of the tree asked for is announced once it is final, before the end of the build; those of trees that
// are only wanted beside it are not.
func TestReady(t *testing.T) {
	var mu sync.Mutex
	var got []string
	s := Solver{
		Worker: &fakeWorker{}, Cache: newFakeCache(), Jobs: 8, Emit: func(Event) {},
		Beside: []*Vertex{run(base("z"), "give", "beside")},
		Ready: func(l v1.Layer) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, string(l.(fakeLayer)))
		},
	}
	side := run(base("s"), "give", "unseen")
	root := run(copyFrom(run(base("a", "b"), "give", "c"), side, "unseen"), "give", "d")
	err := s.Solve(t.Context(), []*Vertex{root}, func(_ context.Context, trees []Tree) error {
		if want := []string{"a", "b", "c", "unseen", "d"}; !slices.Equal(got, want) {
			t.Errorf("announced %q, want %q", got, want)
		}
		if len(trees) != 2 || len(trees[1].Layers) != 2 {
			t.Errorf("got %v, want the tree beside after that of the root", trees)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEventsHaveTimes(t *testing.T) {
	var mu sync.Mutex
	var actions []Action
	s := Solver{Worker: &fakeWorker{}, Cache: newFakeCache(), Jobs: 1, Emit: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Time.IsZero() || time.Since(e.Time) > time.Minute {
			t.Errorf("%s has no time", e.Action)
		}
		actions = append(actions, e.Action)
	}}
	if err := s.Solve(t.Context(), []*Vertex{run(base("0"), "give", "x")}, func(context.Context, []Tree) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []Action{ActionStart, ActionDone}; !slices.Equal(actions, want) {
		t.Errorf("got %q, want %q", actions, want)
	}
}

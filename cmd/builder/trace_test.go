//go:build linux

package main

import (
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/solver"
)

// What overlaps is on different lines, what follows on the same one.
func TestTraceLines(t *testing.T) {
	tr := newTracer("trace.json")
	at := func(ms int) time.Time { return tr.began.Add(time.Duration(ms) * time.Millisecond) }
	step := func(name string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: name} }
	for _, e := range []solver.Event{
		{Time: at(0), Action: solver.ActionStart, Vertex: step("a"), Step: solver.Step{Text: "RUN a"}},
		{Time: at(1), Action: solver.ActionStart, Vertex: step("b"), Step: solver.Step{Text: "RUN b"}},
		{Time: at(2), Action: solver.ActionProgress, Text: "pulling x", Current: 0, Total: 10},
		{Time: at(3), Action: solver.ActionDone, Vertex: step("a")},
		{Time: at(3), Action: solver.ActionStart, Vertex: step("c"), Step: solver.Step{Text: "RUN c"}},
		{Time: at(4), Action: solver.ActionProgress, Text: "pulling x", Current: 10, Total: 10},
		{Time: at(5), Action: solver.ActionFailed, Vertex: step("b")},
	} {
		tr.event(e)
	}
	type place struct {
		line           int
		begin, runtime int64
	}
	got := map[string]place{}
	for _, e := range tr.events(at(9)) {
		if e.Phase == "X" {
			got[e.Name] = place{e.Thread, e.Time, e.Duration}
		}
	}
	want := map[string]place{
		"RUN a": {1000, 0, 3000}, "RUN b": {1001, 1000, 4000}, "RUN c": {1000, 3000, 6000}, "pulling x": {3000, 2000, 2000},
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: got %+v, want %+v", name, got[name], w)
		}
	}
}

func TestNoTrace(t *testing.T) {
	tr := newTracer("")
	tr.event(solver.Event{Action: solver.ActionStart})
	tr.phase("x")()
	if err := tr.write("/nonexistent/file"); err != nil {
		t.Error(err)
	}
}

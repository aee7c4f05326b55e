//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-298d225e/builder/solver"
)

// tracer remembers what ran when. It is written as a file of trace events, which chrome://tracing and
// ui.perfetto.dev show as one line for everything that went on at the same time. The nil tracer remembers nothing.
type tracer struct {
	began time.Time

	mu    sync.Mutex
	spans []span
	// open are the steps and transfers that have begun, by name.
	open map[string]span
}

// span is something that took time.
type span struct {
	kind       spanKind
	name       string
	begin, end time.Time
	detail     map[string]any
}

// spanKind groups the lines of a trace.
type spanKind string

const (
	spanPhase    spanKind = "phase"
	spanStep     spanKind = "step"
	spanLayer    spanKind = "layer"
	spanTransfer spanKind = "transfer"
)

// newTracer returns a tracer if a file was asked for, else nil.
func newTracer(file string) *tracer {
	if file == "" {
		return nil
	}
	return &tracer{began: time.Now(), open: map[string]span{}}
}

// phase begins a part of the build and returns what ends it.
func (t *tracer) phase(name string) (end func()) { return t.span(spanPhase, name) }

// layer begins work on a layer and returns what ends it.
func (t *tracer) layer(name string) (end func()) { return t.span(spanLayer, name) }

func (t *tracer) span(kind spanKind, name string) (end func()) {
	if t == nil {
		return func() {}
	}
	begin := time.Now()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.spans = append(t.spans, span{kind: kind, name: name, begin: begin, end: time.Now()})
	}
}

// event takes in what happened to steps and transfers.
func (t *tracer) event(e solver.Event) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Action {
	case solver.ActionStart:
		t.open[e.Vertex.String()] = span{
			kind: spanStep, name: e.Step.Text, begin: e.Time,
			detail: map[string]any{"stage": e.Step.Stage, "platform": e.Platform.String(), "why": e.Text},
		}
	case solver.ActionDone, solver.ActionFailed:
		t.end(e.Vertex.String(), e.Time)
	case solver.ActionCached:
		t.spans = append(t.spans, span{kind: spanStep, name: "cached: " + e.Step.Text, begin: e.Time, end: e.Time})
	case solver.ActionProgress:
		if _, ok := t.open[e.Text]; !ok {
			t.open[e.Text] = span{kind: spanTransfer, name: e.Text, begin: e.Time, detail: map[string]any{"bytes": e.Total}}
		}
		if e.Total > 0 && e.Current >= e.Total {
			t.end(e.Text, e.Time)
		}
	case solver.ActionOutput, solver.ActionWarning, solver.ActionNotice:
	}
}

// end ends what was begun under a name.
func (t *tracer) end(name string, at time.Time) {
	if s, ok := t.open[name]; ok {
		s.end = at
		t.spans = append(t.spans, s)
		delete(t.open, name)
	}
}

// traceEvent is an event of the Trace Event Format. Times are in microseconds.
type traceEvent struct {
	Name     string         `json:"name"`
	Category spanKind       `json:"cat,omitempty"`
	Phase    string         `json:"ph"`
	Time     int64          `json:"ts"`
	Duration int64          `json:"dur"`
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	Args     map[string]any `json:"args,omitempty"`
}

// write writes the trace.
func (t *tracer) write(file string) error {
	if t == nil {
		return nil
	}
	text, err := json.Marshal(map[string]any{"displayTimeUnit": "ms", "traceEvents": t.events(time.Now())})
	if err == nil {
		err = writeFile(file, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("--trace: %w", err)
	}
	return nil
}

// events returns the spans as events, each on the first line of its kind that is free. What has not ended ends now.
func (t *tracer) events(now time.Time) []traceEvent {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans := slices.Clone(t.spans)
	for _, s := range t.open {
		s.end = now
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.begin.Compare(b.begin), cmp.Compare(a.name, b.name)) })
	var events []traceEvent
	for group, kind := range []spanKind{spanPhase, spanStep, spanLayer, spanTransfer} {
		var free []time.Time // when each line is
		for _, s := range spans {
			if s.kind != kind {
				continue
			}
			line := slices.IndexFunc(free, func(at time.Time) bool { return !at.After(s.begin) })
			if line < 0 {
				line = len(free)
				free = append(free, time.Time{})
				events = append(events, lineName(group*1000+line, kind))
			}
			free[line] = s.end
			events = append(events, traceEvent{
				Name: s.name, Category: kind, Phase: "X", Time: s.begin.Sub(t.began).Microseconds(),
				Duration: s.end.Sub(s.begin).Microseconds(), Process: 1, Thread: group*1000 + line, Args: s.detail,
			})
		}
	}
	return events
}

func lineName(line int, kind spanKind) traceEvent {
	return traceEvent{Name: "thread_name", Phase: "M", Process: 1, Thread: line, Args: map[string]any{"name": string(kind)}}
}

package display

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/solver"
)

func vertex(n int) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprint(n)} }

func start(n int, at time.Time) solver.Event {
	return solver.Event{Time: at, Action: solver.ActionStart, Vertex: vertex(n), Step: solver.Step{Text: fmt.Sprintf("RUN step-%d", n)}}
}

func output(n int, text string) solver.Event {
	return solver.Event{Time: time.Now(), Action: solver.ActionOutput, Vertex: vertex(n), Output: []byte(text)}
}

func done(n int) solver.Event {
	return solver.Event{Time: time.Now(), Action: solver.ActionDone, Vertex: vertex(n)}
}

var modes = []Mode{Plain, TTY, JSON, Quiet}

// From many goroutines at once every event is taken in, and in the end everything is written.
func TestEmitFromManyGoroutines(t *testing.T) {
	const steps, lines = 20, 50
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			var b bytes.Buffer
			d := Start(Options{Mode: mode, Out: &b, Size: func() (int, int) { return 80, 24 }})
			var wg sync.WaitGroup
			for i := range steps {
				wg.Go(func() {
					d.Emit(start(i, time.Now()))
					for j := range lines {
						d.Emit(output(i, fmt.Sprintf("line-%d\n", j)))
					}
					d.Emit(done(i))
				})
			}
			wg.Wait()
			d.Finish(Summary{Outputs: []string{"pushed"}})
			d.Emit(output(1, "too late\n"))
			checkAllWritten(t, mode, b.String(), steps, lines)
		})
	}
}

func checkAllWritten(t *testing.T, mode Mode, text string, steps, lines int) {
	t.Helper()
	want := map[Mode]int{Plain: steps * lines, JSON: steps * lines, TTY: 0, Quiet: 0}[mode]
	if mode != TTY && strings.Count(text, "line-") != want {
		t.Errorf("%d lines of output were written, want %d", strings.Count(text, "line-"), want)
	}
	if mode == Quiet {
		if text != "" {
			t.Errorf("got %q", text)
		}
		return
	}
	for i := range steps {
		if !strings.Contains(text, fmt.Sprintf("RUN step-%d", i)) {
			t.Errorf("step %d is missing", i)
		}
	}
	if !strings.Contains(text, "pushed") || strings.Contains(text, "too late") {
		t.Errorf("the end is not the end:\n%s", text)
	}
}

// hostile returns events that have every byte, and sequences that terminals obey, wherever there is text.
func hostile() []solver.Event {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	text := string(all) + "\x1b]0;title\x07\x1b[2J\x1b[?1049h\u009b2J\u0085\u202e\r" + string(all)
	v := v1.Hash{Algorithm: text, Hex: text}
	step := solver.Step{Stage: text, Index: 1, Total: 2, Text: text, Location: solver.Location{File: text, Start: 1}}
	platform := v1.Platform{OS: text, Architecture: text, Variant: text}
	var events []solver.Event
	for _, a := range []solver.Action{
		solver.ActionStart, solver.ActionOutput, solver.ActionProgress, solver.ActionWarning, solver.ActionNotice,
		solver.ActionFailed, solver.ActionCached,
	} {
		events = append(events, solver.Event{
			Time: time.Unix(int64(len(events)), 0), Action: a, Vertex: v, Step: step, Platform: platform,
			Text: text, Output: []byte(text), Current: 1, Total: 2, Err: text,
		})
	}
	ended := events[2]
	ended.Vertex, ended.Step, ended.Current = v1.Hash{}, solver.Step{}, 2
	return append(events, ended)
}

// No control character gets to a terminal, wherever it comes from, in any mode.
func TestNoControlCharacters(t *testing.T) {
	events := hostile()
	text := events[0].Text
	failure := Failure{Vertex: events[0].Vertex.String(), Excerpt: text, Message: text, Hints: []string{text}}
	summary := Summary{
		Images:  []Image{{Platform: text, Digest: text}},
		Index:   text,
		Outputs: []string{text},
	}
	for _, mode := range modes {
		for _, result := range []ending{failure, summary} {
			v := newTerminal(t, 8000, 1000)
			d := &Display{}
			d.choose(Options{Mode: mode, Terminal: true, Size: v.size})
			var s State
			for _, e := range events {
				v.write(d.drawing.event(&s, e, s.Apply(e)))
				v.write(d.drawing.frame(&s, e.Time))
			}
			v.write(d.drawing.end(&s, time.Unix(60, 0), result))
			if mode == Quiet {
				continue
			}
			if screen := v.String(); !strings.Contains(screen, `]0;title`) {
				t.Errorf("%s: the text itself is missing:\n%s", mode, screen)
			}
		}
	}
}

// In a file, colours of a command stay; what the builder says of itself is escaped there too.
func TestFilesKeepWhatCommandsWrite(t *testing.T) {
	var s State
	p := newPlain(look{})
	e := start(1, time.Unix(0, 0))
	e.Step.Text = "RUN \x1b[31m"
	text := p.event(&s, e, s.Apply(e))
	o := output(1, "\x1b[31mred\n")
	text += p.event(&s, o, s.Apply(o))
	if want := "\x1b[31mred"; !strings.Contains(text, want) || !strings.Contains(text, `RUN \x1b[31m`) {
		t.Errorf("got %q", text)
	}
}

// stuck is a writer that does not return until it is released.
type stuck struct {
	release chan struct{}
	bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	return s.Buffer.Write(p)
}

// A reader that does not read costs a build a second, not more, and no memory. What has been lost is said.
func TestStuckReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuck{release: make(chan struct{})}
		d := Start(Options{Mode: Plain, Out: w})
		begin := time.Now()
		d.Emit(start(1, begin))
		line := strings.Repeat("x", 1<<10) + "\n"
		for range 100 << 10 {
			d.Emit(output(1, line))
		}
		d.Emit(done(1))
		if d := time.Since(begin); d > 2*maxStall {
			t.Errorf("the build was held up for %s", d)
		}
		d.queue.mu.Lock()
		if n := len(d.queue.text); n > 2*maxQueued {
			t.Errorf("%d bytes are waiting", n)
		}
		d.queue.mu.Unlock()
		close(w.release)
		d.Finish(Summary{})
		text := w.String()
		for _, want := range []string{"pieces of output are missing here", "#1 done", "built in"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q was not written", want)
			}
		}
	})
}

// A reader that is only slow gets everything.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines int
		w := writerFunc(func(p []byte) (int, error) {
			time.Sleep(maxStall / 2)
			lines += bytes.Count(p, []byte("x\n"))
			return len(p), nil
		})
		d := Start(Options{Mode: Plain, Out: w})
		d.Emit(start(1, time.Now()))
		const want = 10000
		for range want {
			d.Emit(output(1, strings.Repeat("x", 1<<10)+"\n"))
		}
		d.Finish(Summary{})
		if lines != want {
			t.Errorf("%d lines were written, want %d", lines, want)
		}
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// On a terminal there are ten frames a second, each written at once.
func TestFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newTerminal(t, 60, 10)
		frames := 0
		w := writerFunc(func(p []byte) (int, error) {
			frames++
			v.write(string(p))
			return len(p), nil
		})
		d := Start(Options{Mode: TTY, Out: w, Size: v.size})
		d.Emit(start(1, time.Now()))
		d.Emit(output(1, "hello\n"))
		time.Sleep(2*time.Second + frameTime/2)
		synctest.Wait()
		if frames != 20 {
			t.Errorf("%d frames were drawn in 2 seconds, want 20", frames)
		}
		want := fmt.Sprintf("%-55s2.0s\n%-55s2.0s\n   hello\n", "building: 1 running, 0 done, 0 cached", "#1 RUN step-1")
		if got := v.String(); got != want {
			t.Errorf("got:\n%swant:\n%s", got, want)
		}
		d.Fail(Failure{Message: "no"})
		if got := v.String(); !strings.HasSuffix(got, "\nbuilder: no\n") || strings.Contains(got, "building:") {
			t.Errorf("something of the live part is left:\n%s", got)
		}
	})
}

// A failed build with a Failure that knows no step, in every mode, ends with its one line.
func TestFailureComesLast(t *testing.T) {
	for _, mode := range []Mode{Plain, TTY, Quiet} {
		var b bytes.Buffer
		d := Start(Options{Mode: mode, Out: &b, Colour: false, Size: func() (int, int) { return 80, 24 }})
		d.Fail(Failure{Message: "unknown flag --x", Hints: []string{"see builder build --help"}})
		d.Fail(Failure{Message: "said once"})
		if want := "hint: see builder build --help\nbuilder: unknown flag --x\n"; !strings.HasSuffix(b.String(), want) ||
			strings.Contains(b.String(), "said once") {
			t.Errorf("%s: got %q, want %q at its end", mode, b.String(), want)
		}
	}
}

// Live rows never fill more than the terminal has, however many steps run and whatever they write.
func TestLiveFits(t *testing.T) {
	v := newTerminal(t, 40, 10)
	d := &tty{look: look{terminal: true, colour: true}, size: v.size}
	var s State
	now := time.Unix(0, 0)
	for i := range 30 {
		for _, e := range []solver.Event{
			start(i, now), output(i, strings.Repeat("long\twide 火 ", 20)+"\nnext\nnot ended"),
			{Time: now, Action: solver.ActionProgress, Vertex: vertex(i), Text: "pulling a", Current: 5, Total: 10},
		} {
			v.write(d.event(&s, e, s.Apply(e)))
		}
		v.write(d.frame(&s, now))
		if len(v.lines) > v.height || v.wrapped {
			t.Fatalf("%d steps make %d lines, wrapped: %t", i+1, len(v.lines), v.wrapped)
		}
	}
	if !strings.Contains(v.String(), "and 23 more\n") {
		t.Errorf("got:\n%s", v)
	}
}

// When the terminal becomes narrower, the lines it has wrapped are written over too.
func TestResize(t *testing.T) {
	v := newTerminal(t, 80, 24)
	d := &tty{look: look{terminal: true}, size: v.size}
	var s State
	for i := range 3 {
		e := start(i, time.Unix(0, 0))
		v.write(d.event(&s, e, s.Apply(e)))
	}
	for _, width := range []int{80, 79, 30, 11, 200} {
		v.write(d.frame(&s, time.Unix(1, 0)))
		v.resize(width)
		v.write(d.frame(&s, time.Unix(2, 0)))
		if n := strings.Count(v.String(), "#"); n != 3 {
			t.Errorf("after resizing to %d columns there are %d steps on the screen, want 3:\n%s", width, n, v)
		}
	}
	e := done(0)
	e.Time = time.Unix(3, 0)
	v.write(d.event(&s, e, s.Apply(e)))
	v.write(d.end(&s, e.Time, Summary{}))
	if got := strings.Count(v.String(), "\n"); got != 4 {
		t.Errorf("got %d lines, want 4:\n%s", got, v)
	}
}

// 50 MB without a newline leave nothing behind.
func TestMemoryIsBounded(t *testing.T) {
	for _, mode := range modes {
		d := Start(Options{Mode: mode, Out: io.Discard, Size: func() (int, int) { return 80, 24 }})
		d.Emit(start(1, time.Now()))
		d.Emit(start(2, time.Now()))
		before := heap()
		chunk := strings.Repeat("x", 32<<10)
		for range 50 << 20 / len(chunk) {
			d.Emit(output(2, chunk))
		}
		if grown := heap() - before; grown > 4*maxQueued {
			t.Errorf("%s: %d bytes are held", mode, grown)
		}
		d.Finish(Summary{})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Every line in mode JSON is an object, also of text that is not.
func TestJSONLines(t *testing.T) {
	var s State
	var text string
	for _, e := range hostile() {
		text += objects{}.event(&s, e, s.Apply(e))
	}
	text += objects{}.end(&s, time.Unix(60, 0), Failure{Message: "\x9b"})
	for line := range strings.Lines(text) {
		var o struct{ Action string }
		if err := json.Unmarshal([]byte(line), &o); err != nil || o.Action == "" {
			t.Errorf("%q: %v", line, err)
		}
	}
}

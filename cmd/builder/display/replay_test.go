package display

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/tools/txtar"

	"github.com/seed-298d225e/builder/solver"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Every file in testdata is a recorded stream, what the build came to, and what is drawn of it.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no streams: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { testReplay(t, file) })
	}
}

func testReplay(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecording(t, archive)
	changed := false
	for i, f := range archive.Files {
		got, golden := r.draw(t, f.Name)
		if !golden || got == string(f.Data) {
			continue
		}
		changed = true
		archive.Files[i].Data = []byte(got)
		if !*update {
			t.Errorf("%s (-want +got):\n%s", f.Name, cmp.Diff(string(f.Data), got))
		}
	}
	if changed && *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// recording is a stream that has been read.
type recording struct {
	platform string
	events   []solver.Event
	lines    string
	result   ending
}

func newRecording(t *testing.T, archive *txtar.Archive) recording {
	var r recording
	for _, f := range archive.Files {
		switch f.Name {
		case "options":
			var o struct{ Platform string }
			decode(t, f.Data, &o)
			r.platform = o.Platform
		case "events":
			r.lines = string(f.Data)
			for line := range bytes.Lines(f.Data) {
				r.events = append(r.events, readEvent(t, line))
			}
		case "summary":
			var o summaryObject
			decode(t, f.Data, &o)
			s := Summary{Index: o.Index, Outputs: o.Outputs}
			for _, i := range o.Images {
				s.Images = append(s.Images, Image(i))
			}
			r.result = s
		case "failure":
			var o failureObject
			decode(t, f.Data, &o)
			r.result = Failure{Vertex: o.Vertex, Excerpt: o.Excerpt, Hints: o.Hints, Message: o.Error}
		}
	}
	return r
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
}

// readEvent is the inverse of objects.event.
func readEvent(t *testing.T, line []byte) solver.Event {
	t.Helper()
	var o eventObject
	decode(t, line, &o)
	e := solver.Event{
		Time: o.Time, Action: solver.Action(o.Action), Text: o.Text, Output: []byte(o.Output),
		Current: o.Current, Total: o.Total, Err: o.Error,
	}
	if algorithm, hex, ok := strings.Cut(o.Vertex, ":"); ok {
		e.Vertex = v1.Hash{Algorithm: algorithm, Hex: hex}
	}
	if s := o.Step; s != nil {
		e.Step = solver.Step{
			Stage: s.Stage, Index: s.Index, Total: s.Total, Text: s.Text,
			Location: solver.Location{File: s.File, Start: s.Start, End: s.End},
		}
	}
	if o.Platform != "" {
		p, err := v1.ParsePlatform(o.Platform)
		if err != nil {
			t.Fatal(err)
		}
		e.Platform = *p
	}
	return e
}

// draw returns what the section of that name should hold; golden is false for those that are input.
func (r recording) draw(t *testing.T, name string) (text string, golden bool) {
	l := look{platform: r.platform, excerpt: 10}
	switch name {
	case "plain":
		return r.replay(newPlain(l)), true
	case "plain terminal":
		l.terminal = true
		return r.replay(newPlain(l)), true
	case "quiet":
		return r.replay(quiet{l}), true
	case "json end":
		lines := strings.SplitAfter(r.replay(objects{}), "\n")
		return lines[len(lines)-2], true
	case "tty":
		return r.screen(t, time.Hour), true
	}
	if at, ok := strings.CutPrefix(name, "tty "); ok {
		seconds, err := strconv.ParseFloat(at, 64)
		if err != nil {
			t.Fatal(err)
		}
		return r.screen(t, time.Duration(seconds*float64(time.Second))), true
	}
	return "", false
}

// replay draws the whole stream, with a frame every tenth of a second.
func (r recording) replay(d drawing) string {
	var b strings.Builder
	var s State
	now := r.play(&s, d, time.Hour, func(text string) { b.WriteString(text) })
	b.WriteString(d.end(&s, now, r.result))
	return b.String()
}

// screen returns what a terminal shows that long after the first event, of the end if that is later.
func (r recording) screen(t *testing.T, after time.Duration) string {
	v := newTerminal(t, 72, 14)
	var s State
	d := &tty{look: look{platform: r.platform, terminal: true, excerpt: 50}, size: v.size}
	now := r.play(&s, d, after, v.write)
	if v.wrapped {
		t.Errorf("a line is longer than the terminal is wide:\n%s", v)
	}
	if end := r.events[len(r.events)-1].Time; now.After(end) {
		v.write(d.end(&s, end, r.result))
	}
	return v.String()
}

func (r recording) play(s *State, d drawing, length time.Duration, write func(string)) time.Time {
	now := r.events[0].Time
	end := now.Add(length)
	for _, e := range r.events {
		for !e.Time.Before(now.Add(frameTime)) {
			now = now.Add(frameTime)
			if now.After(end) {
				return end
			}
			write(d.frame(s, now))
		}
		if e.Time.After(end) {
			break
		}
		write(d.event(s, e, s.Apply(e)))
	}
	write(d.frame(s, now))
	return now.Add(frameTime)
}

// What is written as JSON can be replayed: it is the recording itself, less what it says twice.
func TestJSONIsARecording(t *testing.T) {
	for _, file := range []string{"testdata/transfers.txtar", "testdata/parallel.txtar"} {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first := newRecording(t, archive)
		second := first
		second.events = nil
		drawn := first.replay(objects{})
		for line := range strings.Lines(drawn) {
			second.events = append(second.events, readEvent(t, []byte(line)))
		}
		second.events = second.events[:len(second.events)-1] // the summary
		l := look{platform: first.platform}
		if diff := cmp.Diff(first.replay(newPlain(l)), second.replay(newPlain(l))); diff != "" {
			t.Errorf("%s (-first +second):\n%s", file, diff)
		}
		if again := second.replay(objects{}); again != drawn {
			t.Errorf("%s (-first +second):\n%s", file, cmp.Diff(drawn, again))
		}
	}
}

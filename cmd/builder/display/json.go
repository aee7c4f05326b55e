package display

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-298d225e/builder/solver"
)

// objects draws a build as one JSON object a line; the package comment says which.
type objects struct{}

// eventObject is an event.
type eventObject struct {
	Time     time.Time   `json:"time"`
	Action   string      `json:"action"`
	Number   int         `json:"number,omitempty"`
	Vertex   string      `json:"vertex,omitempty"`
	Step     *stepObject `json:"step,omitempty"`
	Platform string      `json:"platform,omitempty"`
	Text     string      `json:"text,omitempty"`
	Output   string      `json:"output,omitempty"`
	Current  int64       `json:"current,omitempty"`
	Total    int64       `json:"total,omitempty"`
	Seconds  float64     `json:"seconds,omitempty"`
	Error    string      `json:"error,omitempty"`
}

// stepObject says what a step is.
type stepObject struct {
	Stage string `json:"stage,omitempty"`
	Index int    `json:"index,omitempty"`
	Total int    `json:"total,omitempty"`
	Text  string `json:"text"`
	File  string `json:"file,omitempty"`
	Start int    `json:"start,omitempty"`
	End   int    `json:"end,omitempty"`
}

func (objects) event(_ *State, e solver.Event, c Change) string {
	o := eventObject{Time: e.Time, Action: string(e.Action)}
	if e.Vertex.Hex != "" {
		o.Vertex = e.Vertex.String()
	}
	if c.Step != nil {
		o.Number = c.Step.Number
	}
	text := ""
	if len(c.Lines) > 0 {
		output := o
		output.Action, output.Output = string(solver.ActionOutput), strings.Join(c.Lines, "\n")+"\n"
		text = object(output)
	}
	if e.Action == solver.ActionOutput {
		return text
	}
	o.Step, o.Platform = newStepObject(e.Step), e.Platform.String()
	o.Text, o.Current, o.Total, o.Error = e.Text, e.Current, e.Total, e.Err
	if e.Action == solver.ActionDone || e.Action == solver.ActionFailed {
		o.Seconds = seconds(c.Step.Elapsed(e.Time))
	}
	return text + object(o)
}

func (objects) frame(*State, time.Time) string { return "" }

func (objects) end(s *State, now time.Time, result ending) string {
	return object(result.object(s, now))
}

func newStepObject(s solver.Step) *stepObject {
	if s.Text == "" && s.Location.File == "" {
		return nil
	}
	return &stepObject{
		Stage: s.Stage, Index: s.Index, Total: s.Total, Text: s.Text,
		File: s.Location.File, Start: s.Location.Start, End: s.Location.End,
	}
}

// object returns v as JSON on a line of its own, without control characters.
func object(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("{\"action\":\"warning\",\"text\":%q}\n", err) // no value of ours gets here
	}
	return escapeControls(b.String())
}

// escapeControls escapes DEL and the C1 characters, which JSON allows in strings (RFC 8259, 7) and
// terminals obey.
func escapeControls(text string) string {
	if !strings.ContainsFunc(text, isHighControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isHighControl(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isHighControl(r rune) bool { return r >= 0x7f && r < 0xa0 && r != utf8.RuneError }

// seconds is d as a number of seconds, to the millisecond.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// summaryObject is the end of a successful build.
type summaryObject struct {
	Time     time.Time     `json:"time"`
	Action   string        `json:"action"`
	Seconds  float64       `json:"seconds"`
	Run      int           `json:"run"`
	Cached   int           `json:"cached"`
	Warnings int           `json:"warnings"`
	Images   []imageObject `json:"images,omitempty"`
	Index    string        `json:"index,omitempty"`
	Outputs  []string      `json:"outputs,omitempty"`
}

type imageObject struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	Size     int64  `json:"size"`
}

func (m Summary) object(s *State, now time.Time) any {
	o := summaryObject{
		Time: now, Action: "summary", Seconds: seconds(now.Sub(began(s, now))),
		Run: s.count(Done), Cached: s.count(Cached), Warnings: s.Warnings,
		Index: m.Index, Outputs: m.Outputs,
	}
	for _, i := range m.Images {
		o.Images = append(o.Images, imageObject(i))
	}
	return o
}

// failureObject is the end of a build that did not succeed.
type failureObject struct {
	Time    time.Time `json:"time"`
	Action  string    `json:"action"`
	Seconds float64   `json:"seconds"`
	Number  int       `json:"number,omitempty"`
	Vertex  string    `json:"vertex,omitempty"`
	Output  []string  `json:"output,omitempty"`
	Excerpt string    `json:"excerpt,omitempty"`
	Hints   []string  `json:"hints,omitempty"`
	Error   string    `json:"error"`
}

func (f Failure) object(s *State, now time.Time) any {
	o := failureObject{
		Time: now, Action: "failure", Seconds: seconds(now.Sub(began(s, now))),
		Vertex: f.Vertex, Excerpt: f.Excerpt, Hints: f.Hints, Error: f.Message,
	}
	if step := s.byVertex[f.Vertex]; step != nil {
		o.Number, o.Output = step.Number, step.Output(maxTailLines)
	}
	return o
}

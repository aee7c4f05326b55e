package solver

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Print writes a graph for people: every vertex that roots depend on once, inputs before what uses them.
func Print(w io.Writer, roots []*Vertex) error {
	p := printer{numbers: map[v1.Hash]int{}}
	Walk(roots, p.vertex)
	_, err := io.WriteString(w, p.text.String())
	return err
}

// Definition is a vertex as data, for programs.
type Definition struct {
	Digest   v1.Hash   `json:"digest"`
	Inputs   []v1.Hash `json:"inputs,omitempty"`
	Platform string    `json:"platform,omitempty"`
	Stage    string    `json:"stage,omitempty"`
	Step     string    `json:"step,omitempty"`
	File     string    `json:"file,omitempty"`
	Line     int       `json:"line,omitempty"`
	// Op is the part of the vertex's cache keys that describes the operation, see key.go.
	Op []string `json:"op"`
}

// Definitions returns a graph as data, in the order of Walk.
func Definitions(roots []*Vertex) []Definition {
	var all []Definition
	Walk(roots, func(v *Vertex) {
		d := Definition{
			Digest: v.digest, Stage: v.Step.Stage, Step: v.Step.Text, File: v.Step.Location.File, Line: v.Step.Location.Start,
			Op: strings.Split(strings.TrimSuffix(string(opText(v)), "\n"), "\n"),
		}
		if v.Platform.OS != "" {
			d.Platform = v.Platform.String()
		}
		for _, in := range v.Inputs {
			d.Inputs = append(d.Inputs, in.digest)
		}
		all = append(all, d)
	})
	return all
}

// printer numbers the vertices it prints.
type printer struct {
	numbers map[v1.Hash]int
	text    strings.Builder
}

func (p *printer) vertex(v *Vertex) {
	n := len(p.numbers) + 1
	p.numbers[v.digest] = n
	fmt.Fprintf(&p.text, "#%d", n)
	if len(v.Inputs) > 0 {
		fmt.Fprintf(&p.text, " on #%d", p.numbers[v.Inputs[0].digest])
	}
	p.op(v)
	if v.Platform.OS != "" {
		p.line("platform", v.Platform.String())
	}
	if v.NoCache {
		p.line("no-cache")
	}
	if v.Epoch != nil {
		p.line("epoch", *v.Epoch)
	}
	if s := v.Step; s.Text != "" {
		place := fmt.Sprint(s.Location.Start)
		if s.Location.End != s.Location.Start {
			place = fmt.Sprintf("%d-%d", s.Location.Start, s.Location.End)
		}
		count := ""
		if s.Total > 0 {
			count = fmt.Sprintf("[%s %d/%d] ", s.Stage, s.Index, s.Total)
		}
		p.line("step", fmt.Sprintf("%s%s (%s:%s)", count, shortDigests(s.Text), s.Location.File, place))
	}
}

// line writes a property of a vertex.
func (p *printer) line(name string, values ...any) {
	fmt.Fprintf(&p.text, "   %s", name)
	for _, v := range values {
		fmt.Fprintf(&p.text, " %v", v)
	}
	p.text.WriteByte('\n')
}

func (p *printer) op(v *Vertex) {
	switch op := v.Op.(type) {
	case Scratch:
		p.line("scratch")
	case Image:
		p.line("image", shortDigests(op.Ref))
	case Local:
		p.line("local", op.Name)
	case HTTP:
		p.line("http", op.URL, "as", op.Filename)
		if op.Checksum.Hex != "" {
			p.line("checksum", shortDigests(op.Checksum.String()))
		}
	case Git:
		p.line("git", fields(op))
	case Inline:
		p.line("inline")
		for _, f := range op.Files {
			p.line("file", f.Path, fmt.Sprintf("%o %q", f.Mode, f.Data))
		}
	case Mkdir:
		p.line("mkdir", op.Path, fmt.Sprintf("%o %s", op.Mode, op.Owner))
	case Copy:
		p.copy(v, op)
	case Exec:
		p.exec(v, op)
	}
}

func (p *printer) copy(v *Vertex, op Copy) {
	p.line("copy to", op.Dest)
	for _, s := range op.Sources {
		from := fmt.Sprintf("#%d", p.numbers[v.Inputs[s.Input].digest])
		s.Input = 0
		p.line("source", from, fields(s))
	}
	if op.Owner != "" {
		p.line("owner", op.Owner)
	}
	if op.Mode != "" {
		p.line("mode", op.Mode)
	}
	if op.Link {
		p.line("link")
	}
}

func (p *printer) exec(v *Vertex, op Exec) {
	p.line("exec", fmt.Sprintf("%q", op.Args))
	p.line("env", fmt.Sprintf("%q", op.Env))
	if op.Proxy != nil {
		p.line("proxy", fmt.Sprintf("%q", op.Proxy))
	}
	p.line("dir", op.Dir)
	for _, m := range op.Mounts {
		from := ""
		if m.Input > 0 {
			from = fmt.Sprintf(" #%d", p.numbers[v.Inputs[m.Input].digest])
		}
		m.Input = 0
		p.line("mount"+from, fields(m))
	}
	op.Args, op.Env, op.Proxy, op.Dir, op.Mounts = nil, nil, nil, "", nil
	if op.Network == NetworkDefault {
		op.Network = ""
	}
	if s := fields(op); s != "{}" {
		p.line("with", s)
	}
}

// shortDigests cuts digests, which would hide everything else.
func shortDigests(s string) string { return digests.ReplaceAllString(s, "sha256:$1") }

var digests = regexp.MustCompile(`sha256:([0-9a-f]{6})[0-9a-f]+`)

// fields returns those fields of a struct that are not zero, as JSON.
func fields(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return err.Error()
	}
	dropZero(m)
	if text, err = json.Marshal(m); err != nil {
		return err.Error()
	}
	return string(text)
}

func dropZero(m map[string]any) {
	for k, v := range m {
		if inner, ok := v.(map[string]any); ok {
			dropZero(inner)
			if len(inner) == 0 {
				delete(m, k)
			}
		}
		if v == nil || v == "" || v == false || v == 0.0 {
			delete(m, k)
		}
	}
}

package frontend_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

// printImage writes a graph, inputs before what uses them, and the config of its image.
func printImage(t *testing.T, out *strings.Builder, img *frontend.Image) {
	t.Helper()
	p := graphPrinter{numbers: map[v1.Hash]int{}, out: out}
	solver.Walk([]*solver.Vertex{img.Root}, p.vertex)
	config := img.Config.Config
	dt, err := json.MarshalIndent(config, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(out, "platform %s, config for %s/%s", platforms.FormatAll(img.Platform), img.Config.OS, img.Config.Architecture)
	if img.Base != nil {
		fmt.Fprintf(out, ", base %s", short(img.Base.Image.Ref))
	}
	if img.Epoch != nil {
		fmt.Fprintf(out, ", epoch %d", *img.Epoch)
	}
	if img.Config.Author != "" {
		fmt.Fprintf(out, ", author %s", img.Config.Author)
	}
	fmt.Fprintf(out, "\n%s\n", dt)
	for _, h := range img.Config.History {
		mark := "layer"
		if h.EmptyLayer {
			mark = "     "
		}
		if h.Created != nil {
			mark += h.Created.Format(" 2006-01-02T15:04:05Z07:00")
		}
		fmt.Fprintf(out, "history %s %q\n", mark, h.CreatedBy)
	}
}

// short cuts digests, which would hide everything else.
func short(s string) string {
	return regexp.MustCompile(`sha256:([0-9a-f]{6})[0-9a-f]+`).ReplaceAllString(s, "sha256:$1")
}

// graphPrinter numbers the vertices it prints.
type graphPrinter struct {
	numbers map[v1.Hash]int
	out     *strings.Builder
}

func (p *graphPrinter) vertex(v *solver.Vertex) {
	n := len(p.numbers) + 1
	p.numbers[v.Digest()] = n
	fmt.Fprintf(p.out, "#%d", n)
	if len(v.Inputs) > 0 {
		fmt.Fprintf(p.out, " on #%d", p.numbers[v.Inputs[0].Digest()])
	}
	p.op(v)
	if v.Platform.OS != "" {
		p.line("platform", platforms.FormatAll(v.Platform))
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
		p.line("step", fmt.Sprintf("[%s %d/%d] %s (%s:%s)", s.Stage, s.Index, s.Total, short(s.Text), s.Location.File, place))
	}
}

// line writes a property of a vertex.
func (p *graphPrinter) line(name string, values ...any) {
	fmt.Fprintf(p.out, "   %s", name)
	for _, v := range values {
		fmt.Fprintf(p.out, " %v", v)
	}
	p.out.WriteByte('\n')
}

func (p *graphPrinter) op(v *solver.Vertex) {
	switch op := v.Op.(type) {
	case solver.Scratch:
		p.line("scratch")
	case solver.Image:
		p.line("image", short(op.Ref))
	case solver.Local:
		p.line("local", op.Name)
	case solver.HTTP:
		p.line("http", op.URL, "as", op.Filename)
		if op.Checksum.Hex != "" {
			p.line("checksum", short(op.Checksum.String()))
		}
	case solver.Git:
		p.line("git", fmt.Sprintf("%+v", op))
	case solver.Inline:
		p.line("inline")
		for _, f := range op.Files {
			p.line("file", f.Path, fmt.Sprintf("%o %q", f.Mode, f.Data))
		}
	case solver.Mkdir:
		p.line("mkdir", op.Path, fmt.Sprintf("%o %s", op.Mode, op.Owner))
	case solver.Copy:
		p.copy(v, op)
	case solver.Exec:
		p.exec(v, op)
	}
}

func (p *graphPrinter) copy(v *solver.Vertex, op solver.Copy) {
	p.line("copy to", op.Dest)
	for _, s := range op.Sources {
		from := fmt.Sprintf("#%d", p.numbers[v.Inputs[s.Input].Digest()])
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

func (p *graphPrinter) exec(v *solver.Vertex, op solver.Exec) {
	p.line("exec", fmt.Sprintf("%q", op.Args))
	p.line("env", fmt.Sprintf("%q", op.Env))
	if op.Proxy != nil {
		p.line("proxy", fmt.Sprintf("%q", op.Proxy))
	}
	p.line("dir", op.Dir)
	for _, m := range op.Mounts {
		from := ""
		if m.Input > 0 {
			from = fmt.Sprintf("#%d", p.numbers[v.Inputs[m.Input].Digest()])
		}
		m.Input = 0
		p.line("mount", from, fields(m))
	}
	op.Args, op.Env, op.Proxy, op.Dir, op.Mounts = nil, nil, nil, "", nil
	if op.Network == solver.NetworkDefault {
		op.Network = ""
	}
	if s := fields(op); s != "{}" {
		p.line("with", s)
	}
}

// fields returns those fields of a struct that are not zero.
func fields(v any) string {
	dt, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var m map[string]any
	if err := json.Unmarshal(dt, &m); err != nil {
		return err.Error()
	}
	dropZero(m)
	dt, err = json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(dt)
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

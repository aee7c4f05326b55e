package frontend_test

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

// FuzzLower makes sure that every text is lowered or refused in words, soon, and with memory in proportion to
// what may be written at all.
func FuzzLower(f *testing.F) {
	for _, file := range goldenFiles(f) {
		dt, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, section := range txtar.Parse(dt).Files {
			if section.Name == "Dockerfile" {
				f.Add(section.Data, "linux/arm64", "A=1")
				f.Add(section.Data, "windows/amd64", "SOURCE_DATE_EPOCH=src")
			}
		}
	}
	f.Fuzz(func(t *testing.T, dockerfile []byte, platform, arg string) {
		p, err := platforms.Parse(platform)
		if err != nil {
			return
		}
		name, value, _ := strings.Cut(arg, "=")
		req := frontend.Request{
			Dockerfile: dockerfile, Platform: p, BuildPlatform: mustParse(t, "linux/amd64"),
			BuildArgs: map[string]string{name: value}, Contexts: []string{"ctx"}, Warn: func(frontend.Warning) {},
		}
		r := &fakeResolver{
			images:   []fakeImage{{name: "trigger", config: []byte(`{"config": {"OnBuild": ["COPY --from=$A . /", "RUN <<E\nx\nE"]}}`)}},
			contexts: []fakeImage{{name: "ctx"}},
		}
		start, before := time.Now(), allocated()
		img, err := frontend.Lower(t.Context(), req, r)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		if used, most := allocated()-before, 256<<20+10_000*uint64(len(dockerfile)); used > most {
			t.Errorf("%d bytes were allocated for a text of %d", used, len(dockerfile))
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b\x00") || !strings.HasPrefix(err.Error(), "Dockerfile") {
				t.Errorf("the error is %q", err)
			}
			return
		}
		solver.Walk([]*solver.Vertex{img.Root}, func(v *solver.Vertex) { checkVertex(t, v) })
	})
}

// allocated returns how many bytes were ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// checkVertex makes sure that a vertex is what the solver's contract says.
func checkVertex(t *testing.T, v *solver.Vertex) {
	t.Helper()
	absolute := func(what, p string) {
		if !strings.HasPrefix(p, "/") {
			t.Errorf("%s is %q", what, p)
		}
	}
	if strings.ContainsAny(v.Step.Text, "\n\x1b") {
		t.Errorf("the step is %q", v.Step.Text)
	}
	if !v.Source() && (v.Step.Index < 1 || v.Step.Index > v.Step.Total || v.Step.Location.Start < 1) {
		t.Errorf("the step is %+v", v.Step)
	}
	switch op := v.Op.(type) {
	case solver.Copy:
		absolute("destination", op.Dest)
		for _, s := range op.Sources {
			absolute("source", s.Path)
			if s.Input < 1 || s.Input >= len(v.Inputs) {
				t.Errorf("input %d of %d", s.Input, len(v.Inputs))
			}
		}
	case solver.Mkdir:
		absolute("directory", op.Path)
	case solver.Exec:
		absolute("working directory", op.Dir)
		for _, m := range op.Mounts {
			if m.Target != "" || m.Env == "" {
				absolute("mount target", m.Target)
			}
			if m.Input < 0 || m.Input >= len(v.Inputs) {
				t.Errorf("input %d of %d", m.Input, len(v.Inputs))
			}
		}
	}
}

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// graph is a random build: a context, and a Dockerfile of stages that copy from it and from each other, the last of which is
// asked for. All of it follows from its seed and the edits made since.
type graph struct {
	// files holds the content of the files of the context by name.
	files  map[string]string
	stages [][]step
	// args are the values of the build arguments A, which the first stage declares, and B, which the last one does.
	args [2]string
	// comment stands in the Dockerfile.
	comment string
}

// step is an instruction after the first one of its stage.
type step struct {
	kind stepKind
	// path is where it writes, word what, file what it reads of the context, from the stage that it reads.
	path, word, file string
	from             int
	// blanks are put where they make another instruction that does the same.
	blanks int
}

// stepKind is what a step does.
type stepKind int

const (
	copyFile stepKind = iota
	copyDir
	copyStage
	runMountedStage
	runMountedFile
	runRemove
	runMkdir
	runWrite
	stepKinds
)

// first is the first step of every stage: /out is what other stages read of it.
func first() step { return step{kind: runWrite, path: "/begin", word: "begin"} }

// newGraph makes up a graph of a few stages of a few steps.
func newGraph(r *rand.Rand) *graph {
	g := &graph{files: map[string]string{"unused": "", "dir/ignored": "", ".dockerignore": "dir/ignored\n"}, args: [2]string{"1", "1"}}
	for _, name := range contextFiles() {
		g.files[name] = word(r)
	}
	for n := range 2 + r.IntN(3) {
		steps := []step{first()}
		for range 1 + r.IntN(4) {
			steps = append(steps, newStep(r, n))
		}
		g.stages = append(g.stages, steps)
	}
	return g
}

// contextFiles are those that instructions use.
func contextFiles() []string { return []string{"f0", "f1", "f2", "dir/x", "dir/y"} }

func word(r *rand.Rand) string { return "w" + strconv.Itoa(r.IntN(6)) }

// newStep makes up a step of the n-th stage.
func newStep(r *rand.Rand, n int) step {
	s := step{kind: stepKind(r.IntN(int(stepKinds))), path: "/" + word(r), word: word(r), file: "f" + strconv.Itoa(r.IntN(3))}
	if s.kind == copyStage || s.kind == runMountedStage {
		if n == 0 {
			s.kind = runWrite
		} else {
			s.from = r.IntN(n)
		}
	}
	return s
}

// clone returns a copy that can be edited.
func (g *graph) clone() *graph {
	c := *g
	c.files = maps.Clone(g.files)
	c.stages = make([][]step, len(g.stages))
	for i, steps := range g.stages {
		c.stages[i] = slices.Clone(steps)
	}
	return &c
}

// isRun reports whether the step is a command.
func (s step) isRun() bool { return s.kind >= runMountedStage }

// command is what a RUN runs.
func (s step) command() string {
	blanks := strings.Repeat(" ", s.blanks)
	switch s.kind {
	case runMountedStage:
		return "cat /mnt/out" + blanks + " >> /out"
	case runMountedFile:
		return "cat /mnt" + blanks + " >> /out"
	case runRemove:
		return fmt.Sprintf("rm -f %s;%s echo %s >> /out", s.path, blanks, s.word)
	case runMkdir:
		return fmt.Sprintf("mkdir -p /d%s &&%s echo %s > /d%s/file", s.path, blanks, s.word, s.path)
	case runWrite:
		return fmt.Sprintf("echo %s > %s;%s cat %s >> /out", s.word, s.path, blanks, s.path)
	case copyFile, copyDir, copyStage, stepKinds:
	}
	return ""
}

// text is the instruction.
func (s step) text() string {
	switch s.kind {
	case copyFile:
		return fmt.Sprintf("COPY%s %s %s", strings.Repeat(" ", s.blanks), s.file, s.path)
	case copyDir:
		return fmt.Sprintf("COPY%s dir /copied%s/", strings.Repeat(" ", s.blanks), s.path)
	case copyStage:
		return fmt.Sprintf("COPY --from=s%d%s /out %s", s.from, strings.Repeat(" ", s.blanks), s.path)
	case runMountedStage:
		return fmt.Sprintf("RUN --mount=from=s%d,target=/mnt %s", s.from, s.command())
	case runMountedFile:
		return fmt.Sprintf("RUN --mount=source=%s,target=/mnt %s", s.file, s.command())
	case runRemove, runMkdir, runWrite, stepKinds:
	}
	return "RUN " + s.command()
}

// dockerfile is the text of the Dockerfile.
func (g *graph) dockerfile() string {
	var b strings.Builder
	for n, steps := range g.stages {
		fmt.Fprintf(&b, "FROM toybox AS s%d\n", n)
		if name := g.declares(n); name != "" {
			fmt.Fprintf(&b, "ARG %s\n", name)
		}
		for _, s := range steps {
			fmt.Fprintf(&b, "# %s\n%s\n", g.comment, s.text())
		}
	}
	return b.String()
}

// declares is the build argument that the n-th stage declares, if any.
func (g *graph) declares(n int) string {
	switch n {
	case 0:
		return "A"
	case len(g.stages) - 1:
		return "B"
	}
	return ""
}

// write writes the context into a directory.
func (g *graph) write(t *testing.T, dir string) {
	t.Helper()
	files := maps.Clone(g.files)
	files["Dockerfile"] = g.dockerfile()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if name != "Dockerfile" && name != ".dockerignore" {
			content += "\n"
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

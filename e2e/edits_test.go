package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// editor edits a graph and builds it.
type editor struct {
	*graph
	t   *testing.T
	r   *rand.Rand
	dir string
	// before is the graph before the last edit.
	before *graph
	// swapped: the build arguments are given in the other order.
	swapped bool
	store   string
	// known is what the store has seen, of builds whose files have their own times and of reproducible ones.
	known map[bool]*model
}

// edit changes something, which may make no difference, and says what.
func (e *editor) edit() string {
	before := e.clone()
	defer func() { e.before = before }()
	stage := e.r.IntN(len(e.stages))
	step := e.r.IntN(len(e.stages[stage]))
	switch e.r.IntN(12) {
	case 0, 1:
		name := contextFiles()[e.r.IntN(len(contextFiles()))]
		e.files[name] = word(e.r)
		return "file " + name
	case 2, 3:
		step = 1 + e.r.IntN(len(e.stages[stage])-1) // the first one makes what other stages read
		e.stages[stage][step] = newStep(e.r, stage)
		return fmt.Sprintf("step %d of stage %d", step+1, stage)
	case 4:
		e.stages[stage][step].blanks = 1 + e.r.IntN(3)
		return fmt.Sprintf("blanks in step %d of stage %d", step+1, stage)
	case 5:
		e.comment += "x"
		return "comments"
	case 6:
		name := []string{"unused", "dir/ignored"}[e.r.IntN(2)]
		e.files[name] += "x"
		return "file " + name
	case 7:
		e.swapped = !e.swapped
		return "order of build arguments"
	case 8:
		e.args[e.r.IntN(2)] = word(e.r)
		return "value of a build argument"
	case 9:
		e.dir = e.t.TempDir()
		return "place of the context"
	case 10:
		if e.before != nil {
			e.graph = e.before.clone()
		}
		return "the last edit is taken back"
	}
	if e.r.IntN(4) == 0 {
		e.graph = newGraph(e.r)
		return "everything"
	}
	return "nothing"
}

// save writes the context. All files get other times than they had.
func (e *editor) save() {
	e.write(e.t, e.dir)
	at := time.Unix(1600000000+e.r.Int64N(100000000), 0)
	for name := range e.files {
		if err := os.Chtimes(filepath.Join(e.dir, name), at, at); err != nil {
			e.t.Fatal(err)
		}
	}
}

// command builds the graph with a store.
func (e *editor) command(store string, args ...string) *exec.Cmd {
	buildArgs := []string{"--build-arg=A=" + e.args[0], "--build-arg=B=" + e.args[1]}
	if e.swapped {
		buildArgs[0], buildArgs[1] = buildArgs[1], buildArgs[0]
	}
	args = append(append([]string{
		"build", "--progress", "json", "--build-context", "toybox=oci-layout://" + toybox(testuser.Dir()),
	}, buildArgs...), args...)
	cmd := exec.CommandContext(e.t.Context(), program(testuser.Dir()), append(args, e.dir)...)
	cmd.Env = append(os.Environ(), "BUILDER_ROOT="+store)
	return cmd
}

// build builds with the store and returns the digest of the image, having checked that what ran is what needed to.
func (e *editor) build(reproducible bool, edit string) string {
	e.t.Helper()
	stages := e.simulate()
	known := e.known[reproducible]
	expected := known.expect(stages)
	var args []string
	if reproducible {
		args = append(args, "--reproducible")
	}
	digest, names, output := e.run(e.store, args...)
	ran := map[string]bool{}
	for _, name := range names {
		ran[definitionOf(stages, name)] = true
	}
	if wrong := expected.judge(ran); wrong != nil {
		e.t.Fatalf("after an edit of: %s, reproducible: %t\n%s\n\n%s\n%s", edit, reproducible, strings.Join(wrong, "\n"), e.dockerfile(), output)
	}
	known.learn(expected, stages, ran)
	return digest
}

func definitionOf(stages [][]*simulated, name string) string {
	for _, steps := range stages {
		for _, x := range steps {
			if x.name == name {
				return x.definition
			}
		}
	}
	return ""
}

// run builds with a store and returns the digest of the image, the names of the steps that ran, and all that was said.
func (e *editor) run(store string, args ...string) (digest string, ran []string, output string) {
	e.t.Helper()
	file := filepath.Join(e.t.TempDir(), "id")
	out, err := e.command(store, append(args, "--iidfile", file)...).CombinedOutput()
	if err != nil {
		e.t.Fatalf("%v\n%s\n%s", err, e.dockerfile(), out)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var event struct {
			Action string
			Step   struct {
				Stage string
				Index int
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			e.t.Fatalf("%v\n%s", err, out)
		}
		if event.Action == "start" {
			ran = append(ran, fmt.Sprintf("%s %d", event.Step.Stage, event.Step.Index))
		}
	}
	id, err := os.ReadFile(file)
	if err != nil {
		e.t.Fatal(err)
	}
	return string(id), ran, string(out)
}

// A build after any edit gives what a build without a cache gives, and runs what it needs to and nothing else.
// BUILDER_TEST_EDITS says how many edits, BUILDER_TEST_SEED which.
func TestRandomEdits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, uint64(amount(t, "BUILDER_TEST_SEED", 0))))
	e := &editor{graph: newGraph(r), t: t, r: r, dir: t.TempDir(), store: newStore(t), known: map[bool]*model{}}
	for _, reproducible := range []bool{false, true} {
		e.known[reproducible] = &model{made: map[string]bool{}, met: map[string]bool{}}
	}
	edit := "all"
	for range amount(t, "BUILDER_TEST_EDITS", 4) {
		e.save()
		e.build(false, edit)
		got := e.build(true, edit)
		want, _, output := e.run(newStore(t), "--reproducible")
		if got != want {
			t.Fatalf("after an edit of: %s: with the cache it is %s, without %s\n%s\n%s", edit, got, want, e.dockerfile(), output)
		}
		edit = e.edit()
	}
}

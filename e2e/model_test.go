package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// model knows what a store has seen, and so which steps of the next build need to run. It knows nothing of how builder finds
// that out: what steps do is simulated.
type model struct {
	// made holds the definitions of steps whose results are known: the instruction, what it reads of the context, and the same
	// of all that it is built on. met holds their surroundings: the instruction, and what is in all that it reads.
	made, met map[string]bool
}

// simulated is a step of one build.
type simulated struct {
	step
	name       string
	definition string
	surround   string
	// below is the step that it is built on, reads the last one of the stage that it reads; either may be nil.
	below, reads *simulated
	// layer is what it does to files: their content by path, "removed" of those that it removes. tree is what it leaves.
	layer, tree map[string]string
	layers      string
}

const removed = "removed"

// simulate works out what the steps of a graph do. They are named as builder names them.
func (g *graph) simulate() [][]*simulated {
	all := make([][]*simulated, len(g.stages))
	for n, steps := range g.stages {
		var below *simulated
		for i, s := range steps {
			x := &simulated{step: s, name: fmt.Sprintf("s%d %d", n, i+1), below: below}
			if s.kind == copyStage || s.kind == runMountedStage {
				x.reads = last(all[s.from])
			}
			x.simulate(g, n)
			all[n], below = append(all[n], x), x
		}
	}
	return all
}

func last[T any](list []T) T { return list[len(list)-1] }

// simulate fills in what follows from what x is built on and reads.
func (x *simulated) simulate(g *graph, stage int) {
	tree, layers, definition := map[string]string{}, "", ""
	if x.below != nil {
		tree, layers, definition = maps.Clone(x.below.tree), x.below.layers, x.below.definition
	}
	var read map[string]string
	x.layer, read = x.effect(g, tree)
	for path, content := range x.layer {
		tree[path] = content
		if content == removed {
			delete(tree, path)
		}
	}
	x.tree, x.layers = tree, list("", layers, text(x.layer))
	instruction := x.instruction(g, stage)
	x.surround = list("surroundings", instruction, layers, text(read))
	from := text(read)
	if x.reads != nil {
		from = x.reads.definition
	}
	x.definition = list("definition", instruction, definition, from)
}

// instruction is what the step says, without what it reads is called and how it is written where that is of no account.
func (x *simulated) instruction(g *graph, stage int) string {
	if !x.isRun() {
		return list("copy", fmt.Sprint(x.kind), x.path)
	}
	environment := ""
	switch g.declares(stage) {
	case "A":
		environment = "A=" + g.args[0]
	case "B":
		environment = "B=" + g.args[1]
	}
	return list("run", fmt.Sprint(x.kind), x.command(), environment)
}

// effect is what the step does to files, and what it reads beside what it is built on.
func (x *simulated) effect(g *graph, tree map[string]string) (layer, read map[string]string) {
	out := tree["/out"]
	switch x.kind {
	case copyFile:
		return map[string]string{x.path: g.files[x.file] + "\n"}, map[string]string{x.file: g.files[x.file]}
	case copyDir:
		read = map[string]string{"x": g.files["dir/x"], "y": g.files["dir/y"]}
		return map[string]string{"/copied" + x.path + "/x": read["x"] + "\n", "/copied" + x.path + "/y": read["y"] + "\n"}, read
	case copyStage:
		content := x.reads.tree["/out"]
		return map[string]string{x.path: content}, map[string]string{"/out": content}
	case runMountedStage:
		return map[string]string{"/out": out + x.reads.tree["/out"]}, x.reads.tree
	case runMountedFile:
		return map[string]string{"/out": out + g.files[x.file] + "\n"}, map[string]string{"": g.files[x.file]}
	case runRemove:
		layer = map[string]string{"/out": out + x.word + "\n"}
		if _, there := tree[x.path]; there {
			layer[x.path] = removed
		}
		return layer, nil
	case runMkdir:
		return map[string]string{"/d" + x.path + "/file": x.word + "\n"}, nil
	case runWrite:
		return map[string]string{x.path: x.word + "\n", "/out": out + x.word + "\n"}, nil
	case stepKinds:
	}
	return nil, nil
}

// list writes values so that they cannot run into each other.
func list(kind string, values ...string) string {
	var b strings.Builder
	b.WriteString(kind)
	for _, v := range values {
		fmt.Fprintf(&b, " %d:%s", len(v), v)
	}
	return b.String()
}

// text writes the content of files.
func text(files map[string]string) string {
	var values []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		values = append(values, path, files[path])
	}
	return list("", values...)
}

// expectation is what a build needs to do.
type expectation struct {
	// steps are all that are looked at, by definition; run those of them that nothing is known of, by surroundings.
	steps map[string]*simulated
	run   map[string][]*simulated
}

// expect works out what a build of the last stage needs to run: a step that is looked at and was never met in its
// surroundings. Looked at are those that the last one is built on, and of the others those that a step reads of which not even
// the definition is known.
func (m *model) expect(stages [][]*simulated) expectation {
	e := expectation{map[string]*simulated{}, map[string][]*simulated{}}
	var look func(*simulated)
	look = func(x *simulated) {
		if x == nil || e.steps[x.definition] != nil {
			return
		}
		e.steps[x.definition] = x
		look(x.below)
		if m.made[x.definition] {
			return
		}
		look(x.reads)
		if !m.met[x.surround] {
			e.run[x.surround] = append(e.run[x.surround], x)
		}
	}
	look(last(last(stages)))
	return e
}

// judge compares what ran, by definition, with what needed to. Of several steps in equal surroundings one has to run, and the
// others may if they did so at the same time.
func (e expectation) judge(ran map[string]bool) (wrong []string) {
	for _, same := range e.run {
		if !slices.ContainsFunc(same, func(x *simulated) bool { return ran[x.definition] }) {
			wrong = append(wrong, fmt.Sprintf("[%s] %s did not run and nothing is known of it", same[0].name, same[0].text()))
		}
	}
	for definition := range ran {
		x := e.steps[definition]
		switch {
		case x == nil:
			wrong = append(wrong, "a step ran that nobody asked for")
		case e.run[x.surround] == nil:
			wrong = append(wrong, fmt.Sprintf("[%s] %s ran and its result is known", x.name, x.text()))
		}
	}
	return wrong
}

// learn notes what the store knows after a build in which ran has run. A COPY that was not needed as a layer, because no
// command ran on it and it is not part of the result, is not kept.
func (m *model) learn(e expectation, stages [][]*simulated, ran map[string]bool) {
	kept := map[string]bool{}
	keep := func(x *simulated) {
		for ; x != nil; x = x.below {
			kept[x.definition] = true
		}
	}
	keep(last(last(stages)))
	for definition := range ran {
		if x := e.steps[definition]; x.isRun() {
			keep(x)
			keep(x.reads)
		}
	}
	for definition, x := range e.steps {
		if !ran[definition] || kept[definition] {
			m.made[definition], m.met[x.surround] = true, true
		}
	}
}

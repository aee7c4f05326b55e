package solver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// explain finds out why a step has to run, notes it and returns it. Nothing is read for it that the keys have not
// needed, but for the names of files.
func (b *build) explain(ctx context.Context, n *node, inputs []Tree) string {
	if b.Diary == nil {
		return ""
	}
	now := n.describe()
	before := b.Diary.Last().most(&now).alone()
	n.told.Lock()
	now.Content = n.content
	n.told.Unlock()
	reason := b.reason(ctx, n, before, &now, inputs)
	n.told.Lock()
	defer n.told.Unlock()
	n.before, n.reason = before, reason
	return reason
}

// alone returns the account without what it was compared with itself.
func (s *StepAccount) alone() *StepAccount {
	if s == nil {
		return nil
	}
	short := *s
	short.Before = nil
	return &short
}

func (b *build) reason(ctx context.Context, n *node, before, now *StepAccount, inputs []Tree) string {
	if n.v.NoCache {
		return "it was asked to run"
	}
	if before == nil {
		return "no record: first build of this step here"
	}
	if before.Op != now.Op {
		return opChange(before.Op, now.Op)
	}
	if before.Content != "" && now.Content != "" {
		return b.inputChange(ctx, n, before, inputLines(before.Content), inputLines(now.Content), inputs)
	}
	if d, err := n.definition(); before.Definition != "" && now.Content != "" && err == nil {
		return b.inputChange(ctx, n, before, inputLines(before.Definition), inputLines(d.String()), inputs)
	}
	return "no record of it is left"
}

// inputChange says which of the inputs is another than it was before, by the digests that two keys have of them.
func (b *build) inputChange(ctx context.Context, n *node, before *StepAccount, old, now map[int]string, inputs []Tree) string {
	var changes []string
	for i, in := range n.inputs {
		if old[i] == now[i] {
			continue
		}
		was := ""
		if i < len(before.Inputs) {
			was = before.Inputs[i]
		}
		changes = append(changes, b.changed(ctx, n, i, in, was, old[i], inputs))
	}
	if len(changes) == 0 {
		return "no record of it is left"
	}
	return strings.Join(changes, "; ")
}

// changed says how the i-th input has changed from what had the name was and the digest old.
func (b *build) changed(ctx context.Context, n *node, i int, in *node, was, old string, inputs []Tree) string {
	title := in.v.title()
	switch in.v.Op.(type) {
	case Image:
		return "base moved: " + moved(was, title)
	case Local, HTTP, Git, Inline:
		if text := b.changedFiles(ctx, n, i, old, inputs[i]); text != "" {
			return text
		}
		return "what it reads of " + title + " changed"
	case Scratch:
		return "it is built on " + title
	case Exec, Copy, Mkdir:
	}
	if i > 0 {
		return fmt.Sprintf("what it reads of stage %s changed", in.v.Step.Stage)
	}
	if was != title {
		return fmt.Sprintf("it follows %s instead of %s", title, was)
	}
	return "it follows " + title + ", which gave something else"
}

// moved says how one name of an image has become another.
func moved(was, now string) string {
	oldName, oldDigest, _ := strings.Cut(was, "@")
	newName, newDigest, _ := strings.Cut(now, "@")
	if oldName == newName && oldDigest != newDigest {
		return oldDigest + " → " + newDigest
	}
	return was + " → " + now
}

// changedFiles says which files have changed since their digest was old; empty if that is not known.
func (b *build) changedFiles(ctx context.Context, n *node, i int, old string, t Tree) string {
	digest, err := v1.NewHash(old)
	if err != nil {
		return ""
	}
	before := b.Diary.Files(digest)
	if before == nil {
		return ""
	}
	now, err := b.Worker.Files(ctx, n.v, i, t)
	if err != nil || now == nil {
		return ""
	}
	return fileChange(before, now)
}

// mostNamed is how many changes are named.
const mostNamed = 3

// fileChange says how one set of files is different from another.
func fileChange(before, now map[string]string) string {
	var changes []string
	var changed, added, removed int
	for _, name := range slices.Sorted(maps.Keys(now)) {
		was, ok := before[name]
		switch {
		case !ok:
			added++
		case was != now[name]:
			changed++
		default:
			continue
		}
		changes = append(changes, name)
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, ok := now[name]; !ok {
			removed++
			changes = append(changes, name)
		}
	}
	if len(changes) == 0 {
		return ""
	}
	var counts []string
	for _, c := range []struct {
		n    int
		text string
	}{{changed, fmt.Sprintf("%d of %d files changed", changed, len(now))}, {added, fmt.Sprintf("%d added", added)}, {removed, fmt.Sprintf("%d removed", removed)}} {
		if c.n > 0 {
			counts = append(counts, c.text)
		}
	}
	return strings.Join(counts, ", ") + ": " + named(changes)
}

// named lists a few of many.
func named(list []string) string {
	if len(list) <= mostNamed {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:mostNamed], ", "), len(list)-mostNamed)
}

// inputLines returns the digests of the inputs in the text of a key, by index.
func inputLines(text string) map[int]string {
	digests := map[int]string{}
	for line := range strings.Lines(text) {
		var kind, digest string
		var i int
		if n, err := fmt.Sscanf(line, "input %s \"%d\" %q", &kind, &i, &digest); n == 3 && err == nil {
			digests[i] = digest
		}
	}
	return digests
}

// opChange says how the text of an operation is different from an earlier one.
func opChange(before, now string) string {
	old, fresh := components(before), components(now)
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		was, ok := old[name]
		switch {
		case !ok:
			changes = append(changes, name+" added")
		case was != fresh[name]:
			changes = append(changes, name+" changed")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, ok := fresh[name]; !ok {
			changes = append(changes, name+" removed")
		}
	}
	if len(changes) == 0 {
		return "order of variables changed" // of all that is in a text, only theirs is nobody's part
	}
	return named(changes)
}

// components takes the text of an operation apart into what people call its parts. The value of each is the lines
// that make it.
func components(text string) map[string]string {
	parts := map[string]string{}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch name {
		case "env":
			variable, _, _ := strings.Cut(rest, " ")
			if unquoted, err := strconv.Unquote(variable); err == nil {
				variable = unquoted
			}
			name = "env " + variable
		case "arg":
			name = "command"
		case "copy":
			name = "destination"
		case "builder":
			name = "builder's version of the key"
		}
		parts[name] += rest + "\n"
	}
	return parts
}

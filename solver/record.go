package solver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Record is a remembered result: on these inputs, this operation gave this layer. It is found under both keys
// of the step.
type Record struct {
	// Op is the operation without its inputs, see OpID.
	Op v1.Hash
	// Content and Definition are the texts of the two keys; of a record that came from elsewhere they may be empty.
	Content, Definition string
	// Inputs names the tree of each input (see TreeID); zero for one that is not made of layers, because
	// the keys say what that held.
	Inputs []v1.Hash
	// Layer is what the step added to its first input.
	Layer v1.Layer
	// Origins name the shared caches that the result came from, and so those who can write to them; empty if
	// it was made here. Below names those that results of the steps below came from.
	Origins, Below []string
	// Step is the instruction, for people.
	Step string
	// Shipped: the layer is part of a tree that was asked for. Anew: the step was asked to run, or is built on one that was,
	// and so the record replaces what is known under its keys. Both are so for one build and are not remembered.
	Shipped, Anew bool
}

// Keys returns the keys that the record is found under, that of the content first.
func (r Record) Keys() []v1.Hash {
	var keys []v1.Hash
	for _, text := range []string{r.Content, r.Definition} {
		if text != "" {
			keys = append(keys, hash([]byte(text)))
		}
	}
	return keys
}

// Cache remembers records. It may be wrong in one way only, by forgetting: whatever cannot be read,
// is damaged or was made by another version is a miss.
type Cache interface {
	// Known reports whether there may be a record of the operation. False is a promise.
	Known(ctx context.Context, op v1.Hash) bool
	// Get returns the record of a key. A miss is fs.ErrNotExist.
	Get(ctx context.Context, op, key v1.Hash) (Record, error)
	// Put remembers a record. Putting the same one twice is not an error.
	Put(ctx context.Context, r Record) error
	// Use tells that the result of a record is part of a build, be it that Get has returned it or that it was
	// put. It may take its time to let others have it too.
	Use(ctx context.Context, r Record)
	// Lock waits until no other process runs the step with this definition, tells by waited whether
	// there was one, and keeps others waiting until unlock is called.
	Lock(ctx context.Context, key v1.Hash) (unlock func(), waited bool, err error)
}

// definitionKey returns the text of the definition key of n. What n gives is remembered under it even if n must not
// be taken from the cache, so that what was known before is replaced.
func (b *build) definitionKey(n *node) (*Text, error) {
	var t Text
	t.b.Write(opText(n.v))
	for i, in := range n.inputs {
		if skipInput(n.v, i) {
			continue
		}
		name, id, err := b.inputDefinition(n, i, in)
		if err != nil {
			return nil, err
		}
		t.add("input "+name, strconv.Itoa(i), id.String())
	}
	return &t, nil
}

func (b *build) inputDefinition(n *node, i int, in *node) (name string, id v1.Hash, err error) {
	if in.v.definite() {
		return "definition", OpID(in.v), nil
	}
	if in.v.Source() {
		id, err = n.contents[i]()
		return "content", id, err
	}
	t, err := in.definition()
	if err != nil {
		return "", v1.Hash{}, err
	}
	return "definition", t.Hash(), nil
}

// contentKey returns the text of the content key of n. It waits until the inputs are hashed.
func (b *build) contentKey(n *node, inputs []Tree) (*Text, error) {
	var t Text
	t.b.Write(opText(n.v))
	for i, tree := range inputs {
		if skipInput(n.v, i) {
			continue
		}
		var id v1.Hash
		var err error
		if i == 0 {
			id, err = tree.ID()
		} else {
			id, err = n.contents[i]()
		}
		if err != nil {
			return nil, err
		}
		t.add("input content", strconv.Itoa(i), id.String())
	}
	n.worked(t.String())
	return &t, nil
}

// definite reports whether the description of a source says what its tree holds.
func (v *Vertex) definite() bool {
	switch op := v.Op.(type) {
	case Scratch, Image, Git, Inline:
		return true
	case HTTP:
		return op.Checksum.Hex != ""
	default:
		return false
	}
}

// skipInput reports whether the result of v does not depend on its i-th input.
func skipInput(v *Vertex, i int) bool {
	c, ok := v.Op.(Copy)
	return ok && c.Link && i == 0
}

// prediction is what the tree of a step will probably be.
type prediction struct {
	// tree is its ID. It is zero if nothing is known, or if the tree is not made of layers.
	tree v1.Hash
	// rejected: the step will not come from a record, so whatever was made from an earlier result of it
	// must not be used unseen.
	rejected bool
}

// predict tells what the records say about the tree of n, without solving it.
func (b *build) predict(n *node) (prediction, error) {
	switch op := n.v.Op.(type) {
	case Image:
		return prediction{tree: TreeID(op.DiffIDs...)}, nil
	case Scratch:
		return prediction{tree: TreeID()}, nil
	case Local, HTTP, Git, Inline:
		return prediction{}, nil
	case Exec, Copy, Mkdir:
	}
	if n.fresh {
		return prediction{rejected: true}, nil
	}
	r, err := n.record()
	if err != nil || r == nil {
		return prediction{}, err
	}
	base, err := n.inputs[0].prediction()
	if err != nil {
		return prediction{}, err
	}
	if ok, err := b.agreesWith(n, 0, r); err != nil || !ok {
		return prediction{rejected: true}, err
	}
	if base.tree.Hex == "" {
		base.tree = r.Inputs[0]
	}
	id, err := ContentID(r.Layer)
	return prediction{tree: stackID(base.tree, id)}, err
}

// agrees reports whether r was made on the trees that n's inputs have: of the first, base, that is known;
// of the others, what their own records say.
func (b *build) agrees(n *node, base Tree, r *Record) (bool, error) {
	if !skipInput(n.v, 0) {
		id, err := base.ID()
		if err != nil || id != r.Inputs[0] {
			return false, err
		}
	}
	return b.agreesWith(n, 1, r)
}

// agreesWith compares the inputs of r from the first-th on with the predictions of n's.
func (b *build) agreesWith(n *node, first int, r *Record) (bool, error) {
	for i := first; i < len(n.inputs); i++ {
		if skipInput(n.v, i) {
			continue
		}
		p, err := n.inputs[i].prediction()
		if err != nil || p.rejected {
			return false, err
		}
		if p.tree.Hex != "" && r.Inputs[i].Hex != "" && p.tree != r.Inputs[i] {
			return false, nil
		}
	}
	return true, nil
}

func (b *build) definitionRecord(ctx context.Context, n *node) (*Record, error) {
	if n.fresh || n.reads && !b.Cache.Known(ctx, n.op) { // else the files of a context would be waited for in vain
		return nil, nil
	}
	key, err := n.definition()
	if err != nil {
		return nil, err
	}
	r := b.lookup(ctx, n, key)
	if r == nil {
		b.background.Go(func() error { b.Cache.Known(ctx, n.op); return nil }) // it is asked for next
	}
	return r, nil
}

// lookup returns the record of a key, nil if there is none that fits n.
func (b *build) lookup(ctx context.Context, n *node, key *Text) *Record {
	r, err := b.Cache.Get(ctx, n.op, key.Hash())
	if err == nil && len(r.Inputs) == len(n.inputs) {
		return &r
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
		b.Emit(Event{
			Time: time.Now(), Action: ActionWarning, Vertex: n.v.digest,
			Text: fmt.Sprintf("the cache of this step cannot be read: %v", err),
		})
	}
	return nil
}

// remember stores the layer of r, which n gave on inputs, under both keys, as soon as all of it is hashed, calls
// done, and tells the cache that it is used. That happens beside the build and cannot fail it.
func (b *build) remember(ctx context.Context, n *node, inputs []Tree, r Record, done func()) {
	b.beside(n, func() {
		if pending(r.Layer) && !b.Settled {
			<-b.used // until then somebody may still ask for its bytes; only for the record they are not read
		}
		if pending(r.Layer) {
			done()
			return
		}
		r, err := b.store(ctx, n, inputs, r)
		done()
		b.keepFiles(ctx, n, inputs)
		if err == nil {
			b.Cache.Use(ctx, r)
		} else if ctx.Err() == nil {
			b.Emit(Event{
				Time: time.Now(), Action: ActionWarning, Vertex: n.v.digest,
				Text: fmt.Sprintf("the result of this step could not be cached: %v", err),
			})
		}
	})
}

func (b *build) store(ctx context.Context, n *node, inputs []Tree, r Record) (Record, error) {
	if _, err := ContentID(r.Layer); err != nil {
		return r, err
	}
	r = Record{
		Op: n.op, Layer: r.Layer, Inputs: make([]v1.Hash, len(inputs)), Origins: r.Origins, Below: n.below(),
		Step: n.v.Step.Text, Shipped: n.shipped, Anew: r.Anew,
	}
	for i, t := range inputs {
		if t.Local != nil {
			continue
		}
		var err error
		if r.Inputs[i], err = t.ID(); err != nil {
			return r, err
		}
	}
	content, err := b.contentKey(n, inputs)
	if err != nil {
		return r, err
	}
	definition, err := n.definition()
	if err != nil {
		return r, err
	}
	r.Content, r.Definition = content.String(), definition.String()
	return r, b.Cache.Put(ctx, r)
}

package solver

import (
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Tree is what came out of a vertex: a file system. Naming one costs nothing; the bytes may be far away.
type Tree struct {
	// Layers make the tree, lowest first.
	Layers []v1.Layer
	// Local, if not nil, is the tree instead: files of this machine that are in no layer.
	Local *Files
}

// Files is a tree that is not made of layers: a context, a checkout, a download or a here-document.
// It can be copied and mounted from, but nothing is built upon it.
type Files struct {
	// Dir is the absolute path of the directory; empty if Inline says it all.
	Dir string
	// Exclude holds the patterns of files that are not part of it.
	Exclude []string
	Inline  []InlineFile
	// Epoch, if not nil, is the time in seconds since 1970 that all files have.
	Epoch *int64
}

// With returns t with l on top.
func (t Tree) With(l v1.Layer) Tree {
	return Tree{Layers: append(slices.Clip(t.Layers), l)}
}

// ID names the content of a tree of layers: the chain of its layers' content IDs. It waits until they
// are known.
func (t Tree) ID() (v1.Hash, error) {
	ids := make([]v1.Hash, len(t.Layers))
	for i, l := range t.Layers {
		id, err := ContentID(l)
		if err != nil {
			return v1.Hash{}, err
		}
		ids[i] = id
	}
	return TreeID(ids...), nil
}

// TreeID names a tree made of layers with these content IDs, lowest first.
func TreeID(layers ...v1.Hash) v1.Hash {
	id := hash(nil)
	for _, l := range layers {
		id = stackID(id, l)
	}
	return id
}

// stackID names the tree that has a layer with the content ID layer on top of the tree below.
func stackID(below, layer v1.Hash) v1.Hash {
	return hash([]byte(below.String() + "\n" + layer.String() + "\n"))
}

// ContentID names what a layer holds. Layers made by a step have a method of that name, which may have
// to wait until they are hashed; the content ID of any other layer is its diff ID.
func ContentID(l v1.Layer) (v1.Hash, error) {
	if c, ok := l.(interface{ ContentID() (v1.Hash, error) }); ok {
		return c.ContentID()
	}
	return l.DiffID()
}

// pending reports whether a layer is no more than a description of what it will hold.
func pending(l v1.Layer) bool {
	p, ok := l.(interface{ Pending() bool })
	return ok && p.Pending()
}

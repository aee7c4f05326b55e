//go:build linux

package ops

import (
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// Leak is a secret of the build in a layer that a step made.
type Leak struct {
	Vertex *solver.Vertex
	// Secret is the name of the secret.
	Secret string
	// Path is the file that holds it, below the root of the tree.
	Path string
}

// guarded returns the entries of a layer that v made. Reading them fails where one of them holds a secret,
// unless Leaked permits that.
func (w *Worker) guarded(v *solver.Vertex, entries snapshot.Entries) snapshot.Entries {
	if w.Guard == nil {
		return entries
	}
	return func(yield func(*snapshot.Entry, error) bool) {
		for e, err := range entries {
			if err == nil {
				e, err = w.guardedEntry(v, e)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (w *Worker) guardedEntry(v *solver.Vertex, e *snapshot.Entry) (*snapshot.Entry, error) {
	found := func(id string) error { return w.Leaked(Leak{Vertex: v, Secret: id, Path: w.Guard.Mask(e.Path)}) }
	for _, text := range metadata(e) {
		if id := w.Guard.Find([]byte(text)); id != "" {
			if err := found(id); err != nil {
				return nil, err
			}
		}
	}
	if e.Kind != snapshot.Regular || e.Size == 0 {
		return e, nil
	}
	watched := *e
	watched.Open = func() (io.ReadCloser, error) {
		r, err := e.Open()
		if err != nil {
			return nil, err
		}
		return w.Guard.Reader(r, found), nil
	}
	return &watched, nil
}

// metadata is the text in an entry beside its content.
func metadata(e *snapshot.Entry) []string {
	texts := []string{e.Path, e.Link}
	for name, value := range e.Xattrs {
		texts = append(texts, name, value)
	}
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

// Inspect looks for secrets in a layer of the store that v made in an earlier build.
func (w *Worker) Inspect(v *solver.Vertex, l v1.Layer) error {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	for e, err := range w.guarded(v, snapshot.ReadTar(r, form(v, solver.Tree{Layers: []v1.Layer{l}}))) {
		if err != nil {
			return err
		}
		if e.Kind != snapshot.Regular || e.Size == 0 {
			continue
		}
		content, err := e.Open()
		if err == nil {
			_, err = io.Copy(io.Discard, struct{ io.Reader }{content})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

//go:build linux

// Package ops knows how each operation of a build is done: where source trees come from, what COPY
// copies, and in what surroundings RUN runs.
//
// Trees are read through [snapshot.View], never mounted for that: a COPY is worked out as a stream of
// layer entries that refer to the files they come from, and nothing is moved until a form of the layer is
// needed. Only commands get a mounted tree.
package ops

import (
	"context"
	"fmt"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/guard"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// Images gives access to images, wherever they are.
type Images interface {
	// Layers returns the layers of a resolved image, lowest first, without moving their data.
	Layers(ctx context.Context, image solver.Image) ([]v1.Layer, error)
	// Config returns the config of a resolved image as it is, nil if it is not known.
	Config(image solver.Image) []byte
}

// Worker does what vertices say. Its fields are set before it is used, and not changed then.
type Worker struct {
	Store *snapshot.Store
	Host  *sandbox.Host
	// Images gives the layers of base images.
	Images Images
	// Secret returns the value of a secret. One that was not given is fs.ErrNotExist.
	Secret func(id string) ([]byte, error)
	// Agent returns the path of the socket of an SSH agent. One that was not given is fs.ErrNotExist.
	Agent func(id string) (string, error)
	// Emulate makes programs for a foreign platform run in the sandbox, or says why that cannot be.
	Emulate func(p v1.Platform) error
	// Mounted, if not nil, is told the names of the cache directories that commands use.
	Mounted func(name string)
	// Lent, if not nil, returns what a cache directory that is new here holds elsewhere, as an archive. A miss is
	// fs.ErrNotExist.
	Lent func(ctx context.Context, name string) (v1.Layer, error)
	// Scratch is a directory in memory for files that commands see, such as secrets.
	Scratch string
	// HTTP brings the file behind a URL, Git the tree of a commit, into a directory.
	HTTP func(ctx context.Context, op solver.HTTP) (dir string, err error)
	Git  func(ctx context.Context, op solver.Git) (dir string, err error)
	// Guard, if not nil, looks for secrets in the layers that steps make. Leaked is told of each that it finds;
	// the error is the one of reading the layer, nil permits it.
	Guard  *guard.Guard
	Leaked func(Leak) error

	// Sparing leaves the layers of an image unread where what its config says will do, because nothing else of the build
	// fetches them.
	Sparing bool

	// Resources bounds what each command may use.
	Resources sandbox.Resources

	contexts sync.Map // directory and patterns → *contextFS
	told     notices
}

// Source returns the tree of a vertex without inputs.
func (w *Worker) Source(ctx context.Context, v *solver.Vertex) (solver.Tree, error) {
	switch op := v.Op.(type) {
	case solver.Scratch:
		return solver.Tree{}, nil
	case solver.Image:
		return w.image(ctx, v, op)
	case solver.Local:
		return solver.Tree{Local: &solver.Files{Dir: op.Dir, Exclude: op.Exclude, Epoch: op.Epoch}}, nil
	case solver.Inline:
		return solver.Tree{Local: &solver.Files{Inline: op.Files}}, nil
	case solver.HTTP:
		dir, err := w.HTTP(ctx, op)
		return solver.Tree{Local: &solver.Files{Dir: dir}}, err
	case solver.Git:
		dir, err := w.Git(ctx, op)
		return solver.Tree{Local: &solver.Files{Dir: dir}}, err
	case solver.Exec, solver.Copy, solver.Mkdir:
	}
	return solver.Tree{}, fmt.Errorf("%T is not a source", v.Op)
}

func (w *Worker) image(ctx context.Context, v *solver.Vertex, op solver.Image) (solver.Tree, error) {
	blobs, err := w.Images.Layers(ctx, op)
	if err != nil {
		return solver.Tree{}, err
	}
	form := snapshot.Unix
	if v.Platform.OS == "windows" {
		form = snapshot.Windows
	}
	layers, err := w.Store.Image(ctx, blobs, form)
	if err != nil {
		return solver.Tree{}, err
	}
	var t solver.Tree
	for _, l := range layers {
		t.Layers = append(t.Layers, l)
	}
	return t, nil
}

// Digest names the content of what v reads of t, its i-th input.
func (w *Worker) Digest(_ context.Context, v *solver.Vertex, i int, t solver.Tree) (v1.Hash, error) {
	entries, err := w.read(v, i, t)
	if err != nil {
		return v1.Hash{}, err
	}
	form := snapshot.Unix
	if _, copied := v.Op.(solver.Copy); copied && v.Epoch != nil { // the times that remain are part of the result
		entries, form = clamped(entries, v.Epoch), form.Dated()
	}
	return snapshot.ContentID(entries, form)
}

// maxFiles is how many files are listed at most, to say which have changed.
const maxFiles = 20000

// Files lists what v reads of t, its i-th input.
func (w *Worker) Files(ctx context.Context, v *solver.Vertex, i int, t solver.Tree) (map[string]string, error) {
	read, err := w.read(v, i, t)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for e, err := range read {
		if err == nil {
			e, err = snapshot.Summed(e)
		}
		if err != nil {
			return nil, err
		}
		if len(files) == maxFiles || ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		files[e.Path] = fileText(e)
	}
	return files, nil
}

// fileText is a text that changes with a file.
func fileText(e *snapshot.Entry) string {
	text := fmt.Sprintf("%d %o %d %d %s", e.Kind, e.Mode, e.UID, e.GID, e.Link)
	if e.Sum != nil {
		text += fmt.Sprintf(" %x", e.Sum[:16])
	}
	return text
}

// read streams what v reads of t, its i-th input.
func (w *Worker) read(v *solver.Vertex, i int, t solver.Tree) (snapshot.Entries, error) {
	fsys, err := w.fs(t)
	if err != nil {
		return nil, err
	}
	var read []snapshot.Entries
	switch op := v.Op.(type) {
	case solver.Copy:
		for _, s := range op.Sources {
			if s.Input == i {
				read = append(read, selected(fsys, s))
			}
		}
	case solver.Exec:
		for _, m := range op.Mounts {
			if m.Input == i {
				read = append(read, mounted(fsys, m))
			}
		}
	default:
		return nil, fmt.Errorf("%T has no input %d", v.Op, i)
	}
	return snapshot.Chain(read...), nil
}

// Run does the step and returns the layer that it adds to its first input.
func (w *Worker) Run(ctx context.Context, v *solver.Vertex, inputs []solver.Tree, emit func(solver.Event)) (v1.Layer, error) {
	l, err := w.step(ctx, v, inputs, emit)
	if ours, ok := l.(*snapshot.Layer); ok && err == nil && v.NoCache {
		ours.Anew()
	}
	return l, err
}

func (w *Worker) step(ctx context.Context, v *solver.Vertex, inputs []solver.Tree, emit func(solver.Event)) (v1.Layer, error) {
	switch op := v.Op.(type) {
	case solver.Copy:
		return w.copy(ctx, v, op, inputs, emit)
	case solver.Mkdir:
		return w.mkdir(ctx, v, op, inputs[0])
	case solver.Exec:
		return w.exec(ctx, v, op, inputs, emit)
	default:
		return nil, fmt.Errorf("%T is not a step", v.Op)
	}
}

// form is how the layer that v makes on top of a tree is packed: as those of the image that is built on. Where times
// are set they are part of what it holds.
func form(v *solver.Vertex, below solver.Tree) snapshot.Form {
	f := snapshot.Unix
	for _, l := range below.Layers {
		if ours, ok := l.(*snapshot.Layer); ok && ours.Form().IsWindows() {
			f = snapshot.Windows
		}
	}
	if v.Epoch != nil {
		return f.Dated()
	}
	return f
}

// layers returns the layers of a tree as those of the store, which they are.
func layers(t solver.Tree) ([]*snapshot.Layer, error) {
	ours := make([]*snapshot.Layer, len(t.Layers))
	for i, l := range t.Layers {
		s, ok := l.(*snapshot.Layer)
		if !ok {
			return nil, fmt.Errorf("layer %d is a %T and not of the store", i, l)
		}
		ours[i] = s
	}
	return ours, nil
}

// fs returns a tree for reading.
func (w *Worker) fs(t solver.Tree) (snapshot.FS, error) {
	switch {
	case t.Local == nil:
		return w.view(t)
	case t.Local.Dir == "":
		return inlineFS(t.Local.Inline)
	}
	return w.context(t.Local)
}

// view returns a tree of layers for reading.
func (w *Worker) view(t solver.Tree) (*snapshot.View, error) {
	ours, err := layers(t)
	if err != nil {
		return nil, err
	}
	return w.Store.View(ours)
}

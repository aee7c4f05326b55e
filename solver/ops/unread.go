//go:build linux

package ops

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// Where a COPY writes may depend on what the image holds: a directory is copied into, a link is written through.
// To know that, the layers of the image have to be read, and if no command runs on them and the result goes where they
// are, that is all they are fetched for. So of a build that is sparing an image that is elsewhere is not read when a single
// regular file is copied to a name directly below the root for which four things hold:
//
//   - it looks like that of a file and of nothing else: letters, digits, and an extension;
//   - neither the history of the image nor anything else in its config contains it: not the instruction that
//     would have made it, nor a command that would have linked it;
//   - no instruction after the first filled the root with what its text does not tell (see [fillsRoot]);
//   - no layer of the build itself has it, which is looked at.
//
// Then nothing of that name is taken to be in the image, unless it is a file, which is replaced in any case. What this
// gets wrong is a link or a directory of such a name that a command has made without naming it. Layers that are here, or
// will be because the result is written here, are read: then there is nothing to save.

// fileName is a name that looks like that of a file. Directories are called like "conf.d".
var fileName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*\.([A-Za-z0-9]{2,8}|[abce-z])$`)

// target returns the tree that a COPY writes to, for reading.
func (w *Worker) target(v *solver.Vertex, op solver.Copy, inputs []solver.Tree) (*snapshot.View, error) {
	if op.Link {
		return w.view(solver.Tree{})
	}
	if !w.Sparing {
		return w.view(inputs[0])
	}
	free, err := w.freeName(v, op, inputs)
	if err != nil {
		return nil, err
	}
	if free == "" {
		return w.view(inputs[0])
	}
	return w.unread(inputs[0], free)
}

// freeName returns the name that op copies a file to if nothing of that name is in the image, else "".
func (w *Worker) freeName(v *solver.Vertex, op solver.Copy, inputs []solver.Tree) (string, error) {
	name := strings.TrimPrefix(op.Dest, "/")
	if len(op.Sources) != 1 || !fileName.MatchString(name) {
		return "", nil
	}
	source := op.Sources[0]
	if source.Wildcards && hasWildcard(source.Path) || source.Unpack || len(source.Include) > 0 {
		return "", nil
	}
	image, ok := bottom(v).Op.(solver.Image)
	if !ok || image.Layout != "" || isHere(inputs[0]) {
		return "", nil
	}
	if config := w.Images.Config(image); config == nil || bytes.Contains(config, []byte(name)) || fillsRoot(config) {
		return "", nil
	}
	fsys, err := w.fs(inputs[source.Input])
	if err != nil {
		return "", err
	}
	m, err := find(fsys, source.Path, source.Follow)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // it is explained where it is copied
	}
	if err != nil || m.entry.Kind != snapshot.Regular {
		return "", err
	}
	return name, nil
}

// isHere reports whether a tree can be read without fetching any of it.
func isHere(t solver.Tree) bool {
	all, err := layers(t)
	return err == nil && !slices.ContainsFunc(all, func(l *snapshot.Layer) bool { return !l.Here() })
}

// bottom is the vertex that all below v is built upon.
func bottom(v *solver.Vertex) *solver.Vertex {
	for len(v.Inputs) > 0 {
		v = v.Inputs[0]
	}
	return v
}

// unread returns t such that the layers of its image are not fetched in order to learn that they have nothing
// called free.
func (w *Worker) unread(t solver.Tree, free string) (*snapshot.View, error) {
	all, err := layers(t)
	if err != nil {
		return nil, err
	}
	made := 0
	for made < len(all) && all[made].Unwrap() != nil {
		made++
	}
	image := unreadImage{
		FS:   snapshot.Later(func() (snapshot.FS, error) { return w.Store.View(all[:made]) }),
		free: free,
	}
	trees := []snapshot.FS{image}
	for _, l := range all[made:] {
		fsys, err := l.FS()
		if err != nil {
			return nil, err
		}
		trees = append(trees, fsys)
	}
	return snapshot.NewView(trees...), nil
}

// unreadImage is an image of which it is known that it has a root, and in that nothing called free. Everything
// else is read when it is asked for.
type unreadImage struct {
	snapshot.FS
	free string
}

// Lstat implements snapshot.FS.
func (u unreadImage) Lstat(name string) (*snapshot.Entry, error) {
	switch name {
	case "":
		return &snapshot.Entry{Kind: snapshot.Directory, Mode: 0o755}, nil
	case u.free:
		return nil, &fs.PathError{Op: "stat", Path: path.Clean("/" + name), Err: fs.ErrNotExist}
	}
	return u.FS.Lstat(name)
}

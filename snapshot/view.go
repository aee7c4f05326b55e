package snapshot

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// View is the tree that layers make when they lie upon each other, read without mounting anything. It is
// what overlayfs would show: the topmost entry of a name counts, directories are merged, whiteouts and
// opaque directories hide what is below.
type View struct {
	// layers are those of the tree, topmost first. In them whiteouts are entries.
	layers []FS
	mu     sync.Mutex
	// merged remembers directories, because a tree is mostly asked about a few.
	merged map[string]*mergedDir
}

// mergedLimit bounds how many directories are remembered.
const mergedLimit = 10000

// mergedDir is one directory of a view.
type mergedDir struct {
	entry *Entry
	// in are the indexes of the layers that contribute to it, topmost first.
	in []int
}

// NewView returns the view of layers, lowest first.
func NewView(layers ...FS) *View {
	layers = slices.Clone(layers)
	slices.Reverse(layers)
	return &View{layers: layers, merged: map[string]*mergedDir{}}
}

// With returns the view of the same tree with another layer on top.
func (v *View) With(layer FS) *View {
	return &View{layers: slices.Concat([]FS{layer}, v.layers), merged: map[string]*mergedDir{}}
}

// Lstat returns the entry of a file.
func (v *View) Lstat(name string) (*Entry, error) {
	if name == "" {
		d, err := v.dir("")
		if err != nil {
			return nil, err
		}
		return d.entry, nil
	}
	d, err := v.dir(parent(name))
	if err != nil {
		return nil, err
	}
	for _, i := range d.in {
		e, err := v.layers[i].Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if e.hides() {
			break
		}
		return e.shown(), nil
	}
	return nil, notExist(name)
}

func notExist(name string) error { return &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist} }

// hides reports whether e says that nothing is there: a whiteout, which on disk is a device 0:0.
func (e *Entry) hides() bool {
	return e.Kind == Whiteout || e.Kind == CharDevice && e.Major == 0 && e.Minor == 0
}

// dir returns the merged directory at name.
func (v *View) dir(name string) (*mergedDir, error) {
	v.mu.Lock()
	d, ok := v.merged[name]
	v.mu.Unlock()
	if ok {
		return d, nil
	}
	in := make([]int, len(v.layers))
	for i := range in {
		in[i] = i
	}
	if name != "" {
		above, err := v.dir(parent(name))
		if err != nil {
			return nil, err
		}
		in = above.in
	}
	d, err := v.merge(name, in)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.merged) == mergedLimit {
		clear(v.merged)
	}
	v.merged[name] = d
	return d, nil
}

// merge merges what the layers among hold at name.
func (v *View) merge(name string, among []int) (*mergedDir, error) {
	d := &mergedDir{}
	for _, i := range among {
		e, err := v.layers[i].Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if e.Kind != Directory {
			break
		}
		if d.entry == nil || d.entry.implicit {
			d.entry = e
		}
		d.in = append(d.in, i)
		if e.Opaque {
			break
		}
	}
	if name == "" && (d.entry == nil || d.entry.implicit) {
		d.entry = emptyRoot()
	}
	if d.entry == nil {
		return nil, notExist(name)
	}
	d.entry = d.entry.shown()
	return d, nil
}

// emptyRoot is the root of a tree that no layer says anything of.
func emptyRoot() *Entry { return &Entry{Kind: Directory, Mode: 0o755} }

// ReadDir lists a directory.
func (v *View) ReadDir(name string) ([]*Entry, error) {
	d, err := v.dir(name)
	if err != nil {
		return nil, err
	}
	found := map[string]*Entry{}
	for _, i := range d.in {
		entries, err := v.layers[i].ReadDir(name)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if _, ok := found[e.Path]; !ok {
				found[e.Path] = e
			}
		}
	}
	list := slices.Collect(maps.Values(found))
	list = slices.DeleteFunc(list, (*Entry).hides)
	for i, e := range list {
		list[i] = e.shown()
	}
	sortByName(list)
	return list, nil
}

// shown returns e without the mark that matters to the layers below only.
func (e *Entry) shown() *Entry {
	if !e.Opaque {
		return e
	}
	shown := *e
	shown.Opaque = false
	return &shown
}

// Sub returns the tree below the directory dir of fsys. If that is not there it is empty.
func Sub(fsys FS, dir string) FS {
	if dir == "" {
		return fsys
	}
	return subFS{fsys, dir}
}

type subFS struct {
	fsys FS
	dir  string
}

func (s subFS) Lstat(name string) (*Entry, error) {
	e, err := s.fsys.Lstat(path.Join(s.dir, name))
	if err != nil {
		if name == "" && errors.Is(err, fs.ErrNotExist) {
			return emptyRoot(), nil
		}
		return nil, err
	}
	return s.relative(e), nil
}

func (s subFS) ReadDir(name string) ([]*Entry, error) {
	entries, err := s.fsys.ReadDir(path.Join(s.dir, name))
	if err != nil {
		if name == "" && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	for i, e := range entries {
		entries[i] = s.relative(e)
	}
	return entries, nil
}

func (s subFS) relative(e *Entry) *Entry {
	below := *e
	below.Path = strings.TrimPrefix(strings.TrimPrefix(e.Path, s.dir), "/")
	return &below
}

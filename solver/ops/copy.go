//go:build linux

package ops

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// copy returns the layer of a COPY or ADD. What is copied is decided here; the files are read when the
// layer is packed or unpacked.
func (w *Worker) copy(ctx context.Context, v *solver.Vertex, op solver.Copy, inputs []solver.Tree, emit func(solver.Event)) (v1.Layer, error) {
	base, err := w.target(v, op, inputs)
	if err != nil {
		return nil, err
	}
	c := &copier{worker: w, op: op, base: base, now: time.Now(), emit: emit}
	if err := checkOwner(v, op.Owner); err != nil {
		return nil, err
	}
	if c.owner, err = copyOwner(base, op.Owner, emit); err != nil {
		return nil, err
	}
	if c.mode, err = parseMode(op.Mode); err != nil {
		return nil, err
	}
	grafts, err := c.grafts(inputs)
	if err != nil {
		return nil, err
	}
	entries, err := c.combine(grafts)
	if err != nil {
		return nil, err
	}
	return w.Store.NewLayer(ctx, w.guarded(v, clamped(blamed(entries, v), v.Epoch)), form(v, inputs[0])), nil
}

// blamed gives the same stream, whose error is that of the step v however late it comes up.
func blamed(entries snapshot.Entries, v *solver.Vertex) snapshot.Entries {
	return func(yield func(*snapshot.Entry, error) bool) {
		for e, err := range entries {
			if err != nil {
				err = &solver.VertexError{Vertex: v, Err: err}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// clamped makes no entry younger than epoch, if that is not nil.
func clamped(entries snapshot.Entries, epoch *int64) snapshot.Entries {
	if epoch == nil {
		return entries
	}
	limit := time.Unix(*epoch, 0)
	return func(yield func(*snapshot.Entry, error) bool) {
		for e, err := range entries {
			if err == nil && e.ModTime.After(limit) {
				older := *e
				older.ModTime = limit
				e = &older
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// copier works out one COPY.
type copier struct {
	worker *Worker
	op     solver.Copy
	// base is the tree copied to: with what earlier arguments gave, once there are several.
	base  *snapshot.View
	owner *owner
	mode  mode
	// now is the time of what has none.
	now  time.Time
	emit func(solver.Event)
}

// graft is a stream of entries that a COPY argument adds.
type graft struct {
	entries snapshot.Entries
}

// grafts works out the arguments one after the other, each on what the ones before left.
func (c *copier) grafts(inputs []solver.Tree) ([]graft, error) {
	var all []graft
	for _, s := range c.op.Sources {
		fsys, err := c.worker.fs(inputs[s.Input])
		if err != nil {
			return nil, err
		}
		found, err := matches(fsys, s)
		if err != nil {
			return nil, explainMissing(fsys, err)
		}
		if _, err := newFilter(s); err != nil {
			return nil, err
		}
		for _, m := range found {
			if len(all) > 0 {
				if err := c.settle(&all[len(all)-1]); err != nil {
					return nil, err
				}
			}
			g, err := c.graft(fsys, s, m)
			if err != nil {
				return nil, err
			}
			all = append(all, g)
		}
	}
	return all, nil
}

// explainMissing says of a source that does not exist whether an ignore pattern is why.
func explainMissing(fsys snapshot.FS, err error) error {
	var missing *fs.PathError
	if !errors.As(err, &missing) || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if c, ok := fsys.(*contextFS); ok {
		if pattern := c.excludedBy(strings.TrimPrefix(missing.Path, "/")); pattern != "" {
			return fmt.Errorf("%q: not found: it is in the context, but the ignore pattern %q excludes it", missing.Path, pattern)
		}
	}
	return fmt.Errorf("%q: not found", missing.Path)
}

// settle makes a graft part of the tree that the next one sees.
func (c *copier) settle(g *graft) error {
	x, err := snapshot.NewIndex(g.entries)
	if err != nil {
		return err
	}
	g.entries = snapshot.Walk(x, "")
	c.base = c.base.With(x)
	return nil
}

// combine makes one stream of all grafts, in the order of paths if there are several.
func (c *copier) combine(grafts []graft) (snapshot.Entries, error) {
	if len(grafts) == 1 {
		return grafts[0].entries, nil
	}
	trees := make([]snapshot.FS, len(grafts))
	for i, g := range grafts {
		x, err := snapshot.NewIndex(g.entries)
		if err != nil {
			return nil, err
		}
		trees[i] = x
	}
	merged := snapshot.NewView(trees...)
	return func(yield func(*snapshot.Entry, error) bool) {
		for e, err := range snapshot.Walk(merged, "") {
			if err == nil && e.Path == "" {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}, nil
}

// graft works out one match of an argument.
func (c *copier) graft(fsys snapshot.FS, s solver.CopySource, m match) (graft, error) {
	if s.Unpack && m.entry.Kind == snapshot.Regular {
		if g, ok, err := c.unpack(m); ok || err != nil {
			return g, err
		}
	}
	dest, err := c.destination(s, m)
	if err != nil {
		return graft{}, err
	}
	made, err := c.parents(parentOf(dest))
	if err != nil {
		return graft{}, err
	}
	into, err := c.lstat(parentOf(dest))
	if err != nil {
		return graft{}, err
	}
	p := placement{copier: c, dest: dest, above: made, contents: s.Contents, exists: into != nil}
	placed := p.placed(func(implied func(string)) snapshot.Entries { return walkTelling(fsys, s, m, implied) })
	if err := p.check(placed); err != nil {
		return graft{}, err
	}
	return graft{snapshot.Chain(snapshot.Listed(made), placed)}, nil
}

// destination returns the path that m is copied to.
func (c *copier) destination(s solver.CopySource, m match) (string, error) {
	dest, err := snapshot.Resolve(c.base, c.op.Dest, true)
	if err != nil {
		return "", err
	}
	existing, err := c.lstat(dest)
	if err != nil {
		return "", err
	}
	into := namesDirectory(c.op.Dest)
	if existing != nil {
		if into && existing.Kind != snapshot.Directory {
			return "", nonDirectory(dest)
		}
		into = existing.Kind == snapshot.Directory
	}
	if m.entry.Kind == snapshot.Directory {
		into = into && existing != nil && !s.Contents
	}
	if into {
		dest = path.Join(dest, path.Base("/"+m.name))
	}
	return strings.Trim(dest, "/"), nil
}

// namesDirectory reports whether a destination says that it is a directory.
func namesDirectory(dest string) bool {
	return strings.HasSuffix(dest, "/") || strings.HasSuffix(dest, "/.")
}

// lstat returns what is at name in the tree copied to, nil if nothing is.
func (c *copier) lstat(name string) (*snapshot.Entry, error) {
	e, err := c.base.Lstat(name)
	if notFound(err) {
		return nil, nil
	}
	return e, err
}

// parents returns the entries of the directory dir and of all above it: as they are if they exist, else
// as they are to be made.
func (c *copier) parents(dir string) ([]*snapshot.Entry, error) {
	if dir == "" {
		return nil, nil
	}
	above, err := c.parents(parentOf(dir))
	if err != nil {
		return nil, err
	}
	e, err := c.lstat(dir)
	switch {
	case err != nil:
		return nil, err
	case e == nil:
		e = c.newDir(dir, above)
	case e.Kind != snapshot.Directory:
		return nil, nonDirectory(dir)
	}
	return append(above, e), nil
}

func nonDirectory(name string) error { return fmt.Errorf("cannot copy to non-directory: /%s", name) }

// parentOf returns the directory that holds name; that of the root is the root.
func parentOf(name string) string { return path.Dir("/" + name)[1:] }

// newDir returns the entry of a directory that has to be made, in the last one of above. In one with the
// setgid bit it takes that over, and the group.
func (c *copier) newDir(name string, above []*snapshot.Entry) *snapshot.Entry {
	e := &snapshot.Entry{Path: name, Kind: snapshot.Directory, Mode: 0o755, ModTime: c.now}
	if c.mode.octal {
		e.Mode = c.mode.bits & 0o777
	}
	if len(above) > 0 && above[len(above)-1].Mode&0o2000 != 0 {
		e.Mode |= 0o2000
		e.GID = above[len(above)-1].GID
	}
	if c.owner != nil {
		e.UID, e.GID = c.owner.uid, c.owner.gid
	}
	return e
}

// placement says where the entries of one source are copied.
type placement struct {
	*copier
	dest string
	// above are the directories that hold dest; exists: the last of them is in the base.
	above    []*snapshot.Entry
	exists   bool
	contents bool
}

// placed streams the source where it is copied. The stream may be read several times, also at once.
func (p placement) placed(source func(implied func(name string)) snapshot.Entries) snapshot.Entries {
	return func(yield func(*snapshot.Entry, error) bool) {
		run := placer{placement: p, existing: map[string]bool{parentOf(p.dest): p.exists}}
		for e, err := range snapshot.Apart(source(run.imply)) {
			if err == nil {
				e, err = run.place(e)
			}
			if e == nil && err == nil {
				continue // the root
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// check fails if anything of the stream cannot be where it is copied, which is only looked for where
// something is already.
func (p placement) check(placed snapshot.Entries) error {
	existing, err := p.lstat(p.dest)
	if existing == nil || err != nil {
		return err
	}
	if existing.Kind == snapshot.Directory {
		if children, err := p.base.ReadDir(p.dest); len(children) == 0 || err != nil {
			return err
		}
	}
	for _, err := range placed {
		if err != nil {
			return err
		}
	}
	return nil
}

// placer is one pass over a placement. It checks that the entries can be where they are copied.
type placer struct {
	placement
	// existing are the directories that the base has; only in those something can be in the way.
	existing map[string]bool
	// implied is the path in the source of the directory that came last of those that are not copied themselves.
	implied string
}

// imply notes that a directory of the source only comes for the sake of what is in it.
func (p *placer) imply(name string) { p.implied = name }

// place returns e where it is copied. Like BuildKit it gives an existing directory that is not copied itself the mode of
// the source, but neither the owner nor the mode that was asked for.
func (p *placer) place(e *snapshot.Entry) (*snapshot.Entry, error) {
	moved := p.moved(e)
	old, err := p.old(moved.Path)
	if err != nil {
		return nil, err
	}
	isDir := e.Kind == snapshot.Directory
	switch {
	case isDir && old != nil && old.Kind != snapshot.Directory:
		return nil, nonDirectory(moved.Path)
	case !isDir && old != nil && old.Kind == snapshot.Directory:
		return nil, fmt.Errorf("cannot replace to directory /%s with file", moved.Path)
	case isDir && e.Path == "":
		return p.placeTop(moved, old), nil
	case isDir:
		p.existing[moved.Path] = old != nil
		if old != nil && e.Path == p.implied {
			kept := *old
			kept.Mode, kept.ModTime = e.Mode, e.ModTime
			return &kept, nil
		}
	}
	return p.chmod(moved), nil
}

// moved returns e at the destination.
func (p placement) moved(e *snapshot.Entry) *snapshot.Entry {
	moved := *e
	moved.Path = strings.Trim(path.Join(p.dest, e.Path), "/")
	if e.Kind == snapshot.Hardlink {
		moved.Link = strings.Trim(path.Join(p.dest, e.Link), "/")
	}
	if p.owner != nil {
		moved.UID, moved.GID = p.owner.uid, p.owner.gid
	}
	return &moved
}

// old returns what is at name already.
func (p *placer) old(name string) (*snapshot.Entry, error) {
	if !p.existing[parentOf(name)] {
		return nil, nil
	}
	return p.lstat(name)
}

// placeTop places the directory that is copied itself. If there is one already, or only its contents are
// copied, it keeps or gets what it would have without, and the time of the source.
func (p *placer) placeTop(moved, old *snapshot.Entry) *snapshot.Entry {
	p.existing[moved.Path] = old != nil || moved.Path == ""
	if moved.Path == "" {
		return nil
	}
	top := old
	if top == nil && p.contents {
		top = p.newDir(moved.Path, p.above)
	}
	if top == nil {
		return p.chmod(moved)
	}
	touched := *top
	touched.ModTime = moved.ModTime
	return &touched
}

// chmod gives an entry the mode that was asked for.
func (p placement) chmod(e *snapshot.Entry) *snapshot.Entry {
	if e.Kind != snapshot.Symlink && e.Kind != snapshot.Hardlink {
		e.Mode = p.mode.apply(e.Mode, e.Kind == snapshot.Directory)
	}
	return e
}

//go:build linux

package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
)

// Squash returns one layer that does to the tree below it what layers, lowest first, do one after the other.
// What lies below need not be there for that: its removals are kept, whether or not they remove anything.
func (s *Store) Squash(ctx context.Context, layers []*Layer) (*Layer, error) {
	trees := make([]FS, len(layers))
	for i, l := range layers {
		var err error
		if trees[len(layers)-1-i], err = l.told(); err != nil {
			return nil, err
		}
	}
	entries := func(yield func(*Entry, error) bool) {
		q := &squasher{yield: yield}
		if err := q.dir("", trees); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
	return s.NewLayer(ctx, WithLinks(entries), layers[0].form), nil
}

// told returns the layer for reading as its entries tell it: its directory may hold more.
func (l *Layer) told() (FS, error) {
	if l.entries == nil {
		return l.fs()
	}
	return NewIndex(l.entries)
}

// squasher tells what the layers of a stack say together.
type squasher struct {
	yield func(*Entry, error) bool
}

// dir tells what is in a directory, to which the layers in contribute, topmost first.
func (q *squasher) dir(name string, in []FS) error {
	top := map[string]*Entry{}
	for _, layer := range in {
		children, err := layer.ReadDir(name)
		if err != nil {
			return err
		}
		for _, e := range children {
			if top[e.Path] == nil {
				top[e.Path] = e
			}
		}
	}
	for _, child := range slices.Sorted(maps.Keys(top)) {
		if err := q.entry(top[child], in); err != nil {
			return err
		}
	}
	return nil
}

// entry tells of e, the topmost entry of its name among the layers in.
func (q *squasher) entry(e *Entry, in []FS) error {
	switch {
	case e.hides():
		return q.tell(&Entry{Path: e.Path, Kind: Whiteout})
	case e.Kind != Directory:
		return q.tell(e)
	}
	merged := *e
	var contribute []FS
	for _, layer := range in {
		lower, err := layer.Lstat(e.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		merged.Opaque = lower.Kind != Directory || lower.Opaque
		if lower.Kind == Directory {
			contribute = append(contribute, layer)
		}
		if merged.Opaque { // whatever is further down, nothing of it remains
			break
		}
	}
	if err := q.tell(&merged); err != nil {
		return err
	}
	return q.dir(e.Path, contribute)
}

func (q *squasher) tell(e *Entry) error {
	if !q.yield(e, nil) {
		return errStopped
	}
	return nil
}

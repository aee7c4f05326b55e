package snapshot

import (
	"math"
	"slices"
)

// index is the FS of entries held in memory.
type index struct {
	entries  map[string]*Entry
	children map[string][]*Entry
}

// NewIndex returns the FS of a stream, all of it held in memory.
func NewIndex(entries Entries) (FS, error) { return newIndex(entries, math.MaxInt) }

// newIndex returns the FS of a stream, or nil if it has more than limit entries.
func newIndex(entries Entries, limit int) (*index, error) {
	x := &index{entries: map[string]*Entry{}, children: map[string][]*Entry{}}
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		if len(x.entries) == limit {
			return nil, nil
		}
		x.add(e)
	}
	if x.entries[""] == nil {
		x.entries[""] = &Entry{Kind: Directory, Mode: 0o755, implicit: true}
	}
	for _, list := range x.children {
		sortByName(list)
	}
	x.link()
	return x, nil
}

// link marks the files that have several names.
func (x *index) link() {
	for _, e := range x.entries {
		if e.Kind != Hardlink {
			continue
		}
		if target := x.entries[e.Link]; target != nil && target.inode == (inode{}) {
			marked := *target
			marked.inode.entry = target
			x.entries[e.Link] = &marked
		}
	}
}

func (x *index) add(e *Entry) {
	if _, ok := x.entries[e.Path]; !ok && e.Path != "" {
		dir := parent(e.Path)
		x.children[dir] = append(x.children[dir], e)
	}
	x.entries[e.Path] = e
	if dir := parent(e.Path); dir != "" && x.entries[dir] == nil { // a parent without an entry
		x.add(&Entry{Path: dir, Kind: Directory, Mode: 0o755})
	}
}

// Lstat returns the entry of a file; a hard link as the file.
func (x *index) Lstat(name string) (*Entry, error) {
	e := x.entries[name]
	if e == nil {
		return nil, notExist(name)
	}
	return x.file(e), nil
}

// file returns the file that a hard link names; both are then known to be the same.
func (x *index) file(e *Entry) *Entry {
	if e.Kind != Hardlink {
		return e
	}
	target := x.entries[e.Link]
	if target == nil || target.Kind == Hardlink {
		return e
	}
	linked := *target
	linked.Path = e.Path
	return &linked
}

// ReadDir lists a directory.
func (x *index) ReadDir(name string) ([]*Entry, error) {
	if e := x.entries[name]; e == nil || e.Kind != Directory {
		return nil, notExist(name)
	}
	list := slices.Clone(x.children[name])
	for i, e := range list {
		list[i] = x.file(x.entries[e.Path])
	}
	return list, nil
}

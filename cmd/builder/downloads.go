//go:build linux

package main

import (
	"path/filepath"

	"github.com/seed-298d225e/builder/fetch"
	"github.com/seed-298d225e/builder/snapshot"
)

// downloads is what was fetched from the web and from git repositories, as a shelf of the store at path.
type downloads struct {
	path string
}

// dir is where it is kept.
func (d downloads) dir() string { return filepath.Join(d.path, "fetch") }

// Kind implements snapshot.Shelf.
func (downloads) Kind() snapshot.ObjectKind { return "download" }

// Objects implements snapshot.Shelf.
func (d downloads) Objects() ([]snapshot.Object, error) {
	kept, err := fetch.List(d.dir())
	if err != nil {
		return nil, err
	}
	objects := make([]snapshot.Object, len(kept))
	for i, k := range kept {
		name, err := filepath.Rel(d.path, k.Path)
		if err != nil {
			return nil, err
		}
		objects[i] = snapshot.Object{Kind: d.Kind(), Name: name, Size: k.Size, LastUsed: k.Used}
	}
	return objects, nil
}

// Remove implements snapshot.Shelf.
func (d downloads) Remove(o snapshot.Object) (bool, error) {
	return fetch.Remove(fetch.Kept{Path: filepath.Join(d.path, o.Name), Size: o.Size, Used: o.LastUsed})
}

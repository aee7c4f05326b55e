//go:build linux

package snapshot

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-298d225e/builder/wholefile"
)

// ObjectKind is a kind of objects of a store.
type ObjectKind string

// The kinds of objects.
const (
	// ObjectTree is an unpacked layer.
	ObjectTree ObjectKind = "tree"
	// ObjectBlob is a packed layer, a manifest or a configuration.
	ObjectBlob ObjectKind = "blob"
	// ObjectCacheMount is a directory that RUN --mount=type=cache keeps things in.
	ObjectCacheMount ObjectKind = "cachemount"
	// ObjectRecord is the remembered result of a step, or the account of a build.
	ObjectRecord ObjectKind = "record"
	// ObjectScan is what is remembered of a context.
	ObjectScan ObjectKind = "scan"
)

// Object is something that a store keeps and can forget.
type Object struct {
	Kind ObjectKind `json:"kind"`
	// Name is its path in the store.
	Name string `json:"name"`
	// Text says what it is, where that is known.
	Text string `json:"text,omitempty"`
	// Size is in bytes.
	Size     int64     `json:"size"`
	LastUsed time.Time `json:"lastUsed"`
	// InUse: a living process uses it.
	InUse bool `json:"inUse"`
}

// Objects lists all that the store keeps.
func (s *Store) Objects() ([]Object, error) {
	used, err := s.living()
	if err != nil {
		return nil, err
	}
	var all []Object
	for _, list := range []func() ([]Object, error){s.trees, s.blobs, s.cacheMounts, s.records, s.scans} {
		objects, err := list()
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	for i := range all {
		all[i].InUse = used[all[i].Name]
	}
	for _, shelf := range s.shelves {
		objects, err := shelf.Objects()
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}

// Shelf is a place in the directory of the store that keeps objects of another kind. They count and can be
// forgotten like its own.
type Shelf interface {
	// Kind is the kind of all its objects.
	Kind() ObjectKind
	// Objects lists what is there.
	Objects() ([]Object, error)
	// Remove removes an object unless it is in use; then removed is false.
	Remove(o Object) (removed bool, err error)
}

// list calls visit for every entry of a directory of the store, which need not exist.
func (s *Store) list(dir string, visit func(name string, info fs.FileInfo) error) error {
	entries, err := os.ReadDir(filepath.Join(s.path, dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if wholefile.Unfinished(e.Name()) && time.Since(info.ModTime()) < young {
			continue // it is being written
		}
		if err := visit(filepath.Join(dir, e.Name()), info); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) trees() (all []Object, err error) {
	err = s.list("trees", func(name string, info fs.FileInfo) error {
		var r treeRecord
		text, err := os.ReadFile(filepath.Join(s.path, name, "rec"))
		if err == nil {
			_ = json.Unmarshal(text, &r) // a damaged one has no size
		}
		all = append(all, Object{Kind: ObjectTree, Name: name, Size: r.Size, LastUsed: info.ModTime()})
		return nil
	})
	return all, err
}

func (s *Store) blobs() (all []Object, err error) {
	err = s.list("blobs/sha256", func(dir string, _ fs.FileInfo) error {
		return s.list(dir, func(name string, info fs.FileInfo) error {
			all = append(all, Object{Kind: ObjectBlob, Name: name, Size: info.Size(), LastUsed: info.ModTime()})
			return nil
		})
	})
	return all, err
}

// cacheMounts lists the cache directories. One that is being made or removed is not an object.
func (s *Store) cacheMounts() (all []Object, err error) {
	err = s.list("caches", func(name string, info fs.FileInfo) error {
		if _, err := os.Lstat(filepath.Join(s.path, name, "data")); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		o := Object{Kind: ObjectCacheMount, Name: name, LastUsed: info.ModTime()}
		if text, err := os.ReadFile(filepath.Join(s.path, name, "rec")); err == nil {
			var r cacheRecord
			_ = json.Unmarshal(text, &r) // a damaged one has no name
			o.Text, _, _ = strings.Cut(r.Name, "\n")
		}
		o.Size, err = diskUsage(filepath.Join(s.path, name))
		all = append(all, o)
		return err
	})
	return all, err
}

func (s *Store) records() (all []Object, err error) {
	add := func(dir string) error {
		return s.list(dir, func(name string, info fs.FileInfo) error {
			all = append(all, Object{Kind: ObjectRecord, Name: name, Size: info.Size(), LastUsed: info.ModTime()})
			return nil
		})
	}
	err = s.list("acts", func(op string, _ fs.FileInfo) error { return add(op) })
	return all, errors.Join(err, add("builds"), add("lists"))
}

func (s *Store) scans() (all []Object, err error) {
	err = s.list("scan", func(name string, info fs.FileInfo) error {
		all = append(all, Object{Kind: ObjectScan, Name: name, Size: info.Size(), LastUsed: info.ModTime()})
		return nil
	})
	return all, err
}

// diskUsage adds up the sizes of the files below a directory.
func diskUsage(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return size, err
}

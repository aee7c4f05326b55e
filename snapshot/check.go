//go:build linux

package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/filelock"
	"github.com/seed-298d225e/builder/wholefile"
)

// Problem is an object of a store that is not what its name says.
type Problem struct {
	// Name is its path in the store.
	Name string `json:"name"`
	// Text says what is wrong.
	Text string `json:"problem"`
	// Repaired: it was removed, and will be made anew when it is needed.
	Repaired bool `json:"repaired"`
}

// Checked says what a check has looked at.
type Checked struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Elsewhere are unpacked layers that were not compared with anything, because the owners of their files are known only
	// where they were made: with another range of subordinate ids, or with one at all.
	Elsewhere int `json:"elsewhere"`
}

// Check reads all blobs, unpacked layers and what is known of layers, and returns what is not as it should be. Builds may
// go on meanwhile. With repair it removes what is damaged and not in use.
func (s *Store) Check(ctx context.Context, repair bool) (Checked, []Problem, error) {
	c := &checker{store: s}
	all, err := s.Objects()
	if err != nil {
		return c.Checked, nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for _, o := range all {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return c.object(ctx, o, repair) })
	}
	if err := g.Wait(); err != nil {
		return c.Checked, c.problems, err
	}
	return c.Checked, c.problems, c.layers(repair)
}

// checker checks objects side by side.
type checker struct {
	store *Store

	mu sync.Mutex
	Checked
	problems []Problem
}

func (c *checker) object(ctx context.Context, o Object, repair bool) error {
	var err error
	name := filepath.Join(c.store.path, o.Name)
	switch o.Kind {
	case ObjectBlob:
		err = checkBlob(name)
	case ObjectTree:
		err = c.store.checkTree(ctx, name)
	case ObjectCacheMount, ObjectRecord, ObjectScan:
		return nil // they hold whatever they hold, or are checked when they are read
	default:
		return nil
	}
	c.mu.Lock()
	c.Objects++
	c.Bytes += o.Size
	if errors.Is(err, errOtherOwners) {
		c.Elsewhere++
		err = nil
	}
	c.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if _, gone := os.Lstat(name); errors.Is(gone, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	return c.found(o, err, repair)
}

// found notes a problem, and removes the object if it may.
func (c *checker) found(o Object, problem error, repair bool) (err error) {
	p := Problem{Name: o.Name, Text: problem.Error()}
	if repair {
		p.Repaired, err = c.remove(o)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, p)
	return err
}

// remove removes an object unless it is in use. A build that finds it set aside waits until that is known, as if it were pruned.
func (c *checker) remove(o Object) (bool, error) {
	lock, err := filelock.Block(c.store.pruneLock(), filelock.Exclusive)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	return c.store.remove(o)
}

func checkBlob(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != filepath.Base(name) {
		return fmt.Errorf("its digest is sha256:%s", got)
	}
	return nil
}

// errUnknown says of an unpacked layer that there is nothing that it could be compared with.
var errUnknown = errors.New("it was unpacked by an earlier version, which did not note what is in it, or the note is lost")

// checkTree checks an unpacked layer: one that was made here by its listing, one of an image by its inventory.
func (s *Store) checkTree(ctx context.Context, name string) error {
	r, err := readTreeRecord(name)
	if err != nil {
		return err
	}
	if id, _, _ := strings.Cut(filepath.Base(name), "-"); r.ID != id {
		return fmt.Errorf("it says that it is %s", r.ID)
	}
	if !s.usable(r) {
		return errOtherOwners
	}
	root, err := openDir(filepath.Join(name, "fs"))
	if err != nil {
		return err
	}
	defer root.Close()
	tree, err := treeDir(root)
	if err != nil {
		return err
	}
	c := &treeCheck{root: root, tree: tree, store: s}
	if f, err := os.Open(filepath.Join(name, "listing")); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return err
		}
		defer f.Close()
		return c.listing(cancellable(ctx, readListing(f)), r)
	}
	f, err := os.Open(inventoryPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return errUnknown
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return c.inventory(ctx, f)
}

// layers checks what is known of packed layers.
func (c *checker) layers(repair bool) error {
	return c.store.list("layers", func(name string, _ fs.FileInfo) error {
		text, err := os.ReadFile(filepath.Join(c.store.path, name))
		if err != nil || wholefile.Unfinished(name) {
			return nil //nolint:nilerr // removed meanwhile
		}
		c.Objects++
		var p packed
		if err = json.Unmarshal(text, &p); err == nil && p.Content.Hex != layerName(name) {
			err = fmt.Errorf("it is of %s", p.Content)
		}
		if err == nil {
			return nil
		}
		return c.found(Object{Kind: ObjectScan, Name: name}, err, repair)
	})
}

// layerName is the content ID in the name of what is known of a layer.
func layerName(name string) string {
	base := filepath.Base(name)
	return base[:min(len(base), 2*sha256.Size)]
}

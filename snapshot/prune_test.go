//go:build linux

package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/snapshot"
)

// A cache directory that was removed is gone for good, and can be made again.
func TestPruneRemovesCacheDirectories(t *testing.T) { eachDriver(t, testPruneRemovesCacheDirectories) }

func testPruneRemovesCacheDirectories(t *testing.T, openStore opener) {
	s := openStore(t)
	open := func() *snapshot.CacheDir {
		t.Helper()
		c, err := s.OpenCache(t.Context(), "apt", snapshot.Locked, func(*os.File) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	prune := func(want int) {
		t.Helper()
		removed, err := s.Prune(snapshot.Prune{Keep: -1, Kinds: []snapshot.ObjectKind{snapshot.ObjectCacheMount}})
		if err != nil || len(removed) != want {
			t.Errorf("removed %v, %v; want %d", removed, err, want)
		}
	}
	held := open()
	prune(0)
	held.Close()
	prune(1)
	if all, err := s.Objects(); err != nil || len(all) != 0 {
		t.Errorf("left are %v, %v", all, err)
	}
	prune(0)
	open().Close()
	prune(1)
}

// With a blob goes what is known of the layer that it is the packed form of.
func TestPruneForgetsPackedLayers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	open := func() *snapshot.Store {
		t.Helper()
		s, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners()})
		must(t, err)
		return s
	}
	s := open()
	_, err := s.NewLayer(t.Context(), snapshot.Listed([]*snapshot.Entry{{Path: "d", Kind: snapshot.Directory, Mode: 0o755}}), snapshot.Unix).Digest()
	must(t, err)
	must(t, s.Close())
	s = open()
	_, err = s.Prune(snapshot.Prune{Keep: -1})
	must(t, err)
	must(t, s.Close())
	if left, err := os.ReadDir(filepath.Join(dir, "layers")); err != nil || len(left) > 0 {
		t.Errorf("%d are left, %v", len(left), err)
	}
}

// Processes come and go while others look for what dead ones have left. None of them takes a living one for dead.
func TestOpenWhileOthersClose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for range 100 {
				s, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners()})
				if err != nil {
					return err
				}
				if err := s.Close(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("%d directories are left: %v", len(left), err)
	}
}

// A file that another process is writing is not pruned, one that its writer left unfinished long ago is.
func TestPruneLeavesUnfinishedFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { must(t, s.Close()) }()
	must(t, os.MkdirAll(filepath.Join(dir, "scan"), 0o700))
	young, old := filepath.Join(dir, "scan", ".a.new-1"), filepath.Join(dir, "scan", ".b.new-2")
	must(t, os.WriteFile(young, nil, 0o600))
	must(t, os.WriteFile(old, nil, 0o600))
	past := time.Now().Add(-2 * time.Hour)
	must(t, os.Chtimes(old, past, past))
	if _, err := s.Prune(snapshot.Prune{Keep: -1}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{young: true, old: false} {
		if _, err := os.Lstat(name); (err == nil) != want {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
	}
}

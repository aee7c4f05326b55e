//go:build linux

package snapshot_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/snapshot"
)

// rounds is how often each process takes the cache directory.
const rounds = 200

// Two processes take one cache directory in turn, while both of them prune. Neither is ever in it with the other, however
// often it and its lock are removed and made again, and nothing is left in the end.
func TestPruneBetweenProcesses(t *testing.T) {
	const place = "BUILDER_TEST_STORE"
	if dir := os.Getenv(place); dir != "" {
		takeTurns(t, dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "store")
	var others []*exec.Cmd
	for range 2 {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), place+"="+dir)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		others = append(others, cmd)
	}
	for _, cmd := range others {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	s, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { must(t, s.Close()) }()
	if _, err := s.Prune(snapshot.Prune{Keep: -1}); err != nil {
		t.Error(err)
	}
	for _, place := range []string{"caches", "locks"} {
		if left, err := os.ReadDir(filepath.Join(dir, place)); len(left) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d are left in %s, %v", len(left), place, err)
		}
	}
}

// takeTurns takes the cache directory, and prunes, again and again.
func takeTurns(t *testing.T, dir string) {
	s, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { must(t, s.Close()) }()
	for i := range rounds {
		c, err := s.OpenCache(t.Context(), "shared", snapshot.Locked, func(*os.File) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := enterAlone(c, strconv.Itoa(i)); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		c.Close()
		if _, err := s.Prune(snapshot.Prune{Keep: -1, Kinds: []snapshot.ObjectKind{snapshot.ObjectCacheMount}}); err != nil {
			t.Fatal(err)
		}
	}
}

// enterAlone does what fails if another process does the same at the same time.
func enterAlone(c *snapshot.CacheDir, name string) error {
	fd := int(c.Dir.Fd())
	if err := unix.Mkdirat(fd, "busy", 0o700); err != nil {
		return fmt.Errorf("another process is in the directory: %w", err)
	}
	if err := unix.Mkdirat(fd, name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return unix.Unlinkat(fd, "busy", unix.AT_REMOVEDIR)
}

//go:build linux

package filelock_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/filelock"
)

func lock(t *testing.T, name string, mode filelock.Mode) *os.File {
	t.Helper()
	f, _, err := filelock.Wait(t.Context(), name, mode)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestModes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "made", "lock")
	first, second := lock(t, name, filelock.Shared), lock(t, name, filelock.Shared)
	if _, err := filelock.Try(name, filelock.Exclusive); !errors.Is(err, filelock.ErrBusy) {
		t.Errorf("beside shared locks: %v", err)
	}
	first.Close()
	second.Close()
	third := lock(t, name, filelock.Exclusive)
	defer third.Close()
	if _, err := filelock.Try(name, filelock.Shared); !errors.Is(err, filelock.ErrBusy) {
		t.Errorf("beside an exclusive lock: %v", err)
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	f := lock(t, name, filelock.Exclusive)
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, waited, err := filelock.Wait(ctx, name, filelock.Exclusive); !errors.Is(err, context.DeadlineExceeded) || !waited {
		t.Errorf("got %v, waited: %t", err, waited)
	}
}

// A lock of a file that was removed is worth nothing: who comes later locks the new one.
func TestRemovedFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	f := lock(t, name, filelock.Exclusive)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	second := lock(t, name, filelock.Exclusive)
	defer second.Close()
	f.Close()
	if _, err := filelock.Try(name, filelock.Exclusive); !errors.Is(err, filelock.ErrBusy) {
		t.Errorf("it is locked twice: %v", err)
	}
}

// Where a file cannot be the error says why, and nobody waits for that to change.
func TestNoPlace(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "link/lock", "file/lock"} {
		if _, _, err := filelock.Wait(t.Context(), filepath.Join(dir, name), filelock.Exclusive); err == nil {
			t.Errorf("%s is locked", name)
		}
	}
	if _, err := filelock.TryOpen(filepath.Join(dir, "missing"), os.O_RDWR, filelock.Shared); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// Of many who want one lock one has it at a time, although each removes it in the end, and nothing is left.
func TestOneByOne(t *testing.T) {
	dir := t.TempDir()
	var holders atomic.Int32
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for range 50 {
				f, _, err := filelock.Wait(t.Context(), filepath.Join(dir, "lock"), filelock.Exclusive)
				if err != nil {
					return err
				}
				if n := holders.Add(1); n != 1 {
					return fmt.Errorf("%d have it at once", n)
				}
				holders.Add(-1)
				filelock.Remove(f)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

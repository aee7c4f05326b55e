//go:build linux

package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-298d225e/builder/filelock"
)

// tryExisting locks a file of another process. One that is missing is an error: what is locked with it is being removed,
// and would not be if there were a new file in it.
func tryExisting(name string, mode filelock.Mode) (*os.File, error) {
	return filelock.TryOpen(name, os.O_RDWR, mode)
}

// lockName waits until no other process holds the lock called name, which nothing is left of when it is let go of. The
// locks of steps are in the same directory; see package cache.
func (s *Store) lockName(ctx context.Context, name string) (unlock func(), err error) {
	f, _, err := filelock.Wait(ctx, filepath.Join(s.path, "locks", name), filelock.Exclusive)
	if err != nil {
		return nil, err
	}
	return func() { filelock.Remove(f) }, nil
}

// sweepLocks removes the locks that nobody holds and that are of nothing: those of processes that were killed.
func (s *Store) sweepLocks() {
	_ = s.list("locks", func(name string, _ fs.FileInfo) error {
		if f, err := tryExisting(filepath.Join(s.path, name), filelock.Exclusive); err == nil {
			filelock.Remove(f)
		}
		return nil
	})
	_ = s.list("caches", func(name string, _ fs.FileInfo) error {
		dir := filepath.Join(s.path, name)
		if _, err := os.Lstat(filepath.Join(dir, "data")); errors.Is(err, fs.ErrNotExist) {
			_, _ = s.removeCache(dir)
		}
		return nil
	})
}

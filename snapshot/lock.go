//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockFile opens a file, makes it if it is missing, and locks it as long as it is open. The kernel lets go
// of the lock however the process ends.
func lockFile(name string, how int) (*os.File, error) { return openLocked(name, os.O_CREATE, how) }

// lockExisting does the same with a file of another process. One that is missing is an error: what is locked with it is
// being removed, and would not be if there were a new file in it.
func lockExisting(name string, how int) (*os.File, error) { return openLocked(name, 0, how) }

func openLocked(name string, flag, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	return f, nil
}

// lockWaiting locks a file and waits for that until ctx is done.
func lockWaiting(ctx context.Context, name string, how int) (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	locked := make(chan result, 1)
	go func() {
		f, err := lockFile(name, how)
		locked <- result{f, err}
	}()
	select {
	case r := <-locked:
		return r.f, r.err
	case <-ctx.Done():
		go func() { // the lock is let go of when it comes
			if r := <-locked; r.err == nil {
				r.f.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// lockRemovable is lockWaiting for a file that its holder may remove, with the directory that it is in. A lock of a file that
// has been removed meanwhile keeps nobody out, so that of the file that has its name now is taken.
func lockRemovable(ctx context.Context, name string, how int) (*os.File, error) {
	dir := filepath.Dir(name)
	for ctx.Err() == nil {
		err := os.MkdirAll(dir, 0o700)
		if errors.Is(err, fs.ErrExist) && !occupied(dir) {
			continue // it is being removed
		}
		if err != nil {
			return nil, err
		}
		f, err := lockWaiting(ctx, name, how)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || isAt(f, name) {
			return f, err
		}
		f.Close()
	}
	return nil, context.Cause(ctx)
}

// occupied reports whether something other than a directory has a name.
func occupied(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && !info.IsDir()
}

// isAt reports whether f is still the file called name.
func isAt(f *os.File, name string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(open, there)
}

// lockName waits until no other process holds the lock called name, which nothing is left of when it is let go of.
func (s *Store) lockName(ctx context.Context, name string) (unlock func(), err error) {
	path := filepath.Join(s.path, "locks", name)
	lock, err := lockRemovable(ctx, path, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return func() {
		_ = os.Remove(path)
		lock.Close()
	}, nil
}

// sweepLocks removes the locks that nobody holds and that are of nothing: those of processes that were killed.
func (s *Store) sweepLocks() {
	_ = s.list("locks", func(name string, _ fs.FileInfo) error {
		sweepLock(filepath.Join(s.path, name))
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

func sweepLock(name string) {
	lock, err := lockExisting(name, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return
	}
	defer lock.Close()
	if isAt(lock, name) {
		_ = os.Remove(name)
	}
}

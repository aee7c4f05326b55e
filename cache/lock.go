//go:build linux

package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// Lock waits until no other process runs the step with a key. The kernel lets go of the lock of one
// that dies. Nothing is left of a lock that was let go of.
func (d *Dir) Lock(ctx context.Context, key v1.Hash) (unlock func(), waited bool, err error) {
	name := filepath.Join(d.Path, "locks", "step-"+key.Hex)
	for {
		f, again, err := lockFile(ctx, filepath.Dir(name), filepath.Base(name))
		waited = waited || again
		if err != nil {
			return nil, waited, fmt.Errorf("locking a step: %w", err)
		}
		if isAt(f, name) {
			return func() { _ = os.Remove(name); f.Close() }, waited, nil
		}
		f.Close() // who held it has removed it: another lock has its name, or will have
	}
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

// lockFile locks a file of a directory, both of which are made if they are missing, as long as it is open.
func lockFile(ctx context.Context, dir, name string) (f *os.File, waited bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	if f, err = os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, false, err
	}
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		waited = true
		err = flockWaiting(ctx, f)
	}
	if err != nil {
		f.Close()
		return nil, waited, err
	}
	return f, waited, nil
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// flockWaiting waits for the lock until ctx is done.
func flockWaiting(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(20 * time.Millisecond) // a blocked flock could not be canceled
	defer tick.Stop()
	for {
		if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

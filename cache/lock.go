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
// that dies.
func (d *Dir) Lock(ctx context.Context, key v1.Hash) (unlock func(), waited bool, err error) {
	f, waited, err := lockFile(ctx, filepath.Join(d.Path, "locks"), "step-"+key.Hex)
	if err != nil {
		return nil, waited, fmt.Errorf("locking a step: %w", err)
	}
	return func() { f.Close() }, waited, nil
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

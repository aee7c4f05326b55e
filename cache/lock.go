//go:build linux

package cache

import (
	"context"
	"fmt"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/filelock"
)

// Lock waits until no other process runs the step with a key. The kernel lets go of the lock of one
// that dies. Nothing is left of a lock that was let go of.
func (d *Dir) Lock(ctx context.Context, key v1.Hash) (unlock func(), waited bool, err error) {
	f, waited, err := filelock.Wait(ctx, filepath.Join(d.Path, "locks", "step-"+key.Hex), filelock.Exclusive)
	if err != nil {
		return nil, waited, fmt.Errorf("locking a step: %w", err)
	}
	return func() { filelock.Remove(f) }, waited, nil
}

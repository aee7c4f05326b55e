//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/seed-298d225e/builder/solver/ops"
)

// useMounts lets cache directories begin with what shared caches have of them, and notes which are used.
func (b *build) useMounts(w *ops.Worker) {
	w.Mounted = func(name string) { b.mounted.Store(name, true) }
	w.Lent = b.cache.Mount
}

// shareMounts shares the cache directories that commands have used. What somebody is changing at the moment is
// told and left out.
func (b *build) shareMounts(ctx context.Context) {
	if !b.cache.SharesMounts() {
		return
	}
	for name := range b.mounted.Range {
		name, ok := name.(string)
		if !ok {
			continue
		}
		l, err := b.store.PackCache(ctx, name)
		switch {
		case err == nil:
			b.cache.ShareMount(ctx, name, l)
		case !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil:
			b.cache.Warn(fmt.Sprintf("a cache directory could not be shared: %v", err))
		}
	}
}

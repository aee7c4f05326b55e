//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/cache"
	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/registry"
)

// prune prunes shared caches.
func (f *registryFlags) prune(ctx context.Context, values []string, p cache.Prune, asJSON bool) error {
	var specs []cacheSpec
	for _, value := range values {
		spec, err := parseCache("--cache-to", value)
		if err != nil {
			return &usageError{err}
		}
		if spec.kind != cacheRegistry && spec.kind != cacheLocal {
			return usagef("--cache-to %s: a cache of type %s bounds itself or is bounded by rules of the server, see docs/CACHE.md", value, spec.kind)
		}
		specs = append(specs, spec)
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	client, err := f.newClient(ctx, registry.Config{}, registry.Run)
	if err != nil {
		return err
	}
	for _, s := range specs {
		pruner, err := prunerOf(client, s)
		if err != nil {
			return err
		}
		removed, err := pruner.Prune(ctx, p)
		if err != nil {
			return err
		}
		if err := reportShared(removed, asJSON); err != nil {
			return err
		}
	}
	return nil
}

func reportShared(removed cache.Pruned, asJSON bool) error {
	if asJSON {
		return printJSON(removed)
	}
	_, err := fmt.Fprintf(os.Stdout, "removed %s, %s\n", display.Plural(removed.Results, "result"), formatSize(removed.Bytes))
	return err
}

func prunerOf(client *registry.Client, s cacheSpec) (cache.Pruner, error) { //nolint:ireturn // one of several
	if s.kind == cacheRegistry {
		return cache.NewRegistry(client, s.fields["ref"])
	}
	dir, err := filepath.Abs(s.fields["dest"])
	return cache.NewLayout(dir), err
}

// before is the time so long ago, zero for no time at all.
func before(age time.Duration) time.Time {
	if age == 0 {
		return time.Time{}
	}
	return time.Now().Add(-age)
}

//go:build linux

package ops

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// caches opens the directories of all cache mounts. Every step locks them in the same order, so that two never
// wait for each other, and each once.
func (r *run) caches(ctx context.Context, v *solver.Vertex) error {
	wanted := map[string]solver.Mount{}
	for _, m := range r.op.Mounts {
		if m.Type != solver.MountCache {
			continue
		}
		name, err := r.cacheName(ctx, v, m)
		if err != nil {
			return err
		}
		if w, ok := wanted[name]; !ok || w.Sharing == solver.SharingShared {
			wanted[name] = m
		}
	}
	r.cache = make(map[string]*snapshot.CacheDir, len(wanted))
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		m := wanted[name]
		if r.worker.Mounted != nil {
			r.worker.Mounted(name)
		}
		c, err := r.worker.Store.OpenCache(ctx, name, r.sharing(m), func(dir *os.File) error { return r.newCache(ctx, dir, name, m) })
		if err != nil {
			return fmt.Errorf("opening the cache %s: %w", m.ID, err)
		}
		r.undo = append(r.undo, c.Close)
		r.cache[name] = c
	}
	return nil
}

// sharing says who else may use the cache of a mount. Where nothing can be mounted, a directory can be in
// one place only.
func (r *run) sharing(m solver.Mount) snapshot.Sharing {
	switch {
	case m.Sharing == solver.SharingPrivate:
		return snapshot.Private
	case m.Sharing == solver.SharingLocked, !r.worker.Host.Mounts():
		return snapshot.Locked
	}
	return snapshot.Shared
}

// cached opens the source of a cache mount.
func (r *run) cached(ctx context.Context, v *solver.Vertex, m solver.Mount) (*os.File, error) {
	name, err := r.cacheName(ctx, v, m)
	if err != nil {
		return nil, err
	}
	dir := r.cache[name].Dir
	if path.Clean("/"+m.Source) == "/" || m.Input > 0 {
		return dir, nil
	}
	// Another command may be changing what is in it: no links, and what is opened is what is mounted.
	f, err := inroot.OpenReal(dir, m.Source, unix.O_PATH)
	if err != nil {
		return nil, missing(err, m.Source)
	}
	return r.keep(f), nil
}

// cacheName identifies a cache directory: one that begins otherwise is another, and so is one for another platform, since
// programs keep there what they have made for theirs. The first line is for people.
func (r *run) cacheName(ctx context.Context, v *solver.Vertex, m solver.Mount) (string, error) {
	name := fmt.Sprintf("%s %s\n%d:%d:%o", m.ID, v.Platform, valueOr(m.UID, 0), valueOr(m.GID, 0), valueOr(m.Mode, 0o755))
	if m.Input == 0 {
		return name, nil
	}
	id, err := r.worker.Digest(ctx, v, m.Input, r.inputs[m.Input])
	return name + "\n" + id.String(), err
}

// newCache gives a new cache directory what it holds elsewhere, or else what it begins with.
func (r *run) newCache(ctx context.Context, dir *os.File, name string, m solver.Mount) error {
	if r.worker.Lent == nil {
		return r.fillCache(dir, m)
	}
	lent, err := r.worker.Lent(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return r.fillCache(dir, m)
	}
	if err != nil {
		return err
	}
	return r.worker.Store.UnpackCache(ctx, dir, lent)
}

// fillCache gives a new cache directory the content and metadata it begins with.
func (r *run) fillCache(dir *os.File, m solver.Mount) error {
	if m.Input > 0 {
		fsys, err := r.worker.fs(r.inputs[m.Input])
		if err != nil {
			return err
		}
		if err := r.worker.Store.WriteTree(dir, mounted(fsys, m)); err != nil {
			return err
		}
	}
	if m.UID == nil && m.GID == nil && m.Mode == nil {
		return nil
	}
	return give(fmt.Sprintf("/proc/self/fd/%d/.", dir.Fd()), m, 0o755)
}

//go:build linux

package snapshot

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/seed-298d225e/builder/filelock"
	"github.com/seed-298d225e/builder/wholefile"
)

// Prune says what a store may forget.
type Prune struct {
	// Keep is the size in bytes that may stay; the least recently used goes first.
	Keep int64
	// Unused: only what was not used for so long.
	Unused time.Duration
	// Kinds, if not empty: only these.
	Kinds []ObjectKind
}

// young is the age below which nothing is removed: it may be about to be used by who made it.
const young = time.Hour

// Prune removes what p says and no living process uses, and returns what it removed. Of several processes
// that prune at once one does.
func (s *Store) Prune(p Prune) ([]Object, error) {
	lock, err := filelock.Try(s.pruneLock(), filelock.Exclusive)
	if errors.Is(err, filelock.ErrBusy) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	return s.prune(p)
}

// pruneLock is locked by who prunes.
func (s *Store) pruneLock() string { return filepath.Join(s.path, "prune.lock") }

// prune prunes; the caller holds the lock.
func (s *Store) prune(p Prune) (removed []Object, err error) {
	all, err := s.Objects()
	if err != nil {
		return nil, err
	}
	for _, o := range p.choose(all, time.Now()) {
		ok, err := s.remove(o)
		if err != nil {
			return removed, fmt.Errorf("removing %s: %w", o.Name, err)
		}
		if ok {
			removed = append(removed, o)
		}
	}
	s.sweepLocks()
	s.sweepPacked()
	return removed, nil
}

// sweepPacked removes what is known of packed layers whose blobs are gone, which is of no use. One that comes back at that
// moment is at worst packed once more.
func (s *Store) sweepPacked() {
	_ = s.list("layers", func(name string, _ fs.FileInfo) error {
		var p packed
		text, err := os.ReadFile(filepath.Join(s.path, name))
		if err != nil || json.Unmarshal(text, &p) != nil || len(p.Digest.Hex) < 2 {
			return nil //nolint:nilerr // fsck says what is damaged
		}
		if _, err := os.Lstat(s.BlobPath(p.Digest)); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(filepath.Join(s.path, name))
		}
		return nil
	})
}

// choose returns what is to go, least recently used first.
func (p Prune) choose(all []Object, now time.Time) []Object {
	slices.SortFunc(all, func(a, b Object) int { return cmp.Compare(a.LastUsed.UnixNano(), b.LastUsed.UnixNano()) })
	var total int64
	for _, o := range all {
		total += o.Size
	}
	var chosen []Object
	for _, o := range all {
		if total <= p.Keep {
			break
		}
		age := now.Sub(o.LastUsed) // of what is from the future: negative, and so young
		if o.InUse || age < p.Unused || len(p.Kinds) > 0 && !slices.Contains(p.Kinds, o.Kind) {
			continue
		}
		chosen = append(chosen, o)
		total -= o.Size
	}
	return chosen
}

// remove moves an object aside and, unless somebody uses it, removes it for good.
func (s *Store) remove(o Object) (bool, error) {
	for _, shelf := range s.shelves {
		if shelf.Kind() == o.Kind {
			return shelf.Remove(o)
		}
	}
	from := filepath.Join(s.path, o.Name)
	if o.Kind == ObjectCacheMount {
		return s.removeCache(from)
	}
	aside := s.temporary("trash")
	if err := os.Rename(from, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	used, err := s.living()
	if err == nil && used[o.Name] {
		return false, os.Rename(aside, from)
	}
	if err != nil {
		return false, errors.Join(err, os.Rename(aside, from))
	}
	if o.Kind == ObjectRecord {
		_ = os.Remove(filepath.Dir(from)) // if it was the last of its operation
	}
	return true, os.RemoveAll(aside)
}

// removeCache removes a cache directory unless a command holds it.
func (s *Store) removeCache(dir string) (bool, error) {
	name := filepath.Join(dir, "lock")
	lock, err := tryExisting(name, filelock.Exclusive)
	if errors.Is(err, filelock.ErrBusy) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	aside := s.temporary("trash")
	if err := os.Rename(filepath.Join(dir, "data"), aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.Remove(filepath.Join(dir, "rec")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.Remove(name); err != nil {
		return false, err
	}
	_ = os.Remove(dir) // unless another process is making it anew
	return true, os.RemoveAll(aside)
}

// Bound keeps the store below a size in bytes, looking at most once in an hour.
func (s *Store) Bound(size int64) error {
	stamp := filepath.Join(s.path, "bounded")
	if info, err := os.Stat(stamp); err == nil && time.Since(info.ModTime()).Abs() < time.Hour {
		return nil
	}
	if err := wholefile.Write(stamp, 0o600, nil); err != nil {
		return err
	}
	_, err := s.Prune(Prune{Keep: size, Unused: young})
	return err
}

// BoundNow keeps the store below a size in bytes, whenever it was looked at before.
func (s *Store) BoundNow(size int64) error {
	_, err := s.Prune(Prune{Keep: size})
	return err
}

//go:build linux

package snapshot

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/filelock"
)

// DiskSize returns the size in bytes of the file system that the store is on.
func (s *Store) DiskSize() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.path, &st); err != nil {
		return 0, err
	}
	return int64(st.Blocks) * st.Bsize, nil
}

// What is left on a file system that is as good as full: programs write in pieces, and remove the last one that did not fit.
const (
	fullBytes  = 16 << 20
	fullInodes = 64
)

// Full reports whether the file system of the store has next to no room left.
func (s *Store) Full() bool {
	var st unix.Statfs_t
	if err := unix.Statfs(s.path, &st); err != nil {
		return false
	}
	return int64(st.Bavail)*st.Bsize < fullBytes || st.Files > 0 && st.Ffree < fullInodes // some have no number of inodes
}

// MakeRoom removes what nobody uses and a build makes again when it needs it, and returns the size of that in bytes. ok
// says that there is more room than before, which another process may have made.
func (s *Store) MakeRoom() (removed int64, ok bool) {
	before := s.free()
	cleared := s.plain.clear()
	lock, err := filelock.Block(s.pruneLock(), filelock.Exclusive)
	if err != nil {
		return 0, cleared
	}
	defer lock.Close()
	all, err := s.prune(Prune{Kinds: s.rebuildable()})
	for _, o := range all {
		removed += o.Size
	}
	return removed, cleared || err == nil && (len(all) > 0 || s.free() > before)
}

// withSpace does f; if the disk is full it makes room and tries once more.
func (s *Store) withSpace(f func() error) error {
	err := f()
	if !full(err) {
		return err
	}
	if _, ok := s.MakeRoom(); ok {
		if err = f(); !full(err) {
			return err
		}
	}
	return fmt.Errorf("%w: %s", err, s.Space())
}

// rebuildable are the kinds of objects that are made again when they are needed.
func (s *Store) rebuildable() []ObjectKind {
	kinds := []ObjectKind{ObjectTree, ObjectBlob, ObjectRecord, ObjectScan}
	for _, shelf := range s.shelves {
		kinds = append(kinds, shelf.Kind())
	}
	return kinds
}

func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// free is the number of bytes that are free.
func (s *Store) free() int64 {
	var st unix.Statfs_t
	_ = unix.Statfs(s.path, &st)
	return int64(st.Bavail) * st.Bsize
}

// Space says how much room there is, how much of it the store takes, and what can be done.
func (s *Store) Space() string {
	var st unix.Statfs_t
	all, err := s.Objects()
	if err = errors.Join(err, unix.Statfs(s.path, &st)); err != nil {
		return "the store is " + s.path
	}
	var size, caches int64
	for _, o := range all {
		size += o.Size
		if o.Kind == ObjectCacheMount {
			caches += o.Size
		}
	}
	return fmt.Sprintf("the file system of the store %s has %d MiB and %d inodes free; the store holds %d MiB, %d of them cache mounts; "+
		"make room, run 'builder prune --all', or name another directory with --root",
		s.path, int64(st.Bavail)*st.Bsize>>20, st.Ffree, size>>20, caches>>20)
}

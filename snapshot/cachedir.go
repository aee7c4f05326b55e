//go:build linux

package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/seed-298d225e/builder/filelock"
	"github.com/seed-298d225e/builder/wholefile"
)

// Sharing says who else may use a cache directory at the same time.
type Sharing int

// The ways to share.
const (
	// Shared: everybody.
	Shared Sharing = iota
	// Private: nobody; who comes second gets another directory.
	Private
	// Locked: nobody; who comes second waits.
	Locked
)

// CacheDir is a directory that commands keep things in from build to build, held as long as it is used.
type CacheDir struct {
	// Dir is the directory, opened with O_PATH.
	Dir  *os.File
	lock *os.File
}

// Close lets go of the directory.
func (c *CacheDir) Close() {
	c.Dir.Close()
	c.lock.Close()
}

// cacheRecord is the file rec beside a cache directory.
type cacheRecord struct {
	Name string    `json:"name"`
	Made time.Time `json:"made"`
}

// OpenCache opens the cache directory called name, which may be any text; what it is called on disk is a
// hash of it. If there is none, fill is given a new, empty one.
//
// caches/HASH/data is the directory, caches/HASH/lock is locked by who uses it.
func (s *Store) OpenCache(ctx context.Context, name string, sharing Sharing, fill func(dir *os.File) error) (*CacheDir, error) {
	base := s.cachePath(name)
	for n := 0; ; n++ {
		dir := base
		if n > 0 {
			dir += "." + strconv.Itoa(n)
		}
		c, err := s.openCache(ctx, dir, name, sharing, fill)
		if sharing == Private && errors.Is(err, filelock.ErrBusy) {
			continue
		}
		return c, err
	}
}

func (s *Store) cachePath(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(s.path, "caches", hex.EncodeToString(sum[:]))
}

func (s *Store) openCache(ctx context.Context, dir, name string, sharing Sharing, fill func(*os.File) error) (*CacheDir, error) {
	lock, err := lockCache(ctx, dir, sharing)
	if err != nil {
		return nil, err
	}
	data, err := openDir(filepath.Join(dir, "data"))
	if errors.Is(err, fs.ErrNotExist) {
		data, err = s.makeCache(dir, name, fill)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	now := time.Now()
	_ = os.Chtimes(dir, now, now) // when it was last used
	return &CacheDir{data, lock}, nil
}

func lockCache(ctx context.Context, dir string, sharing Sharing) (lock *os.File, err error) {
	name := filepath.Join(dir, "lock")
	switch sharing {
	case Private:
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		return filelock.Try(name, filelock.Exclusive)
	case Locked:
		lock, _, err = filelock.Wait(ctx, name, filelock.Exclusive)
	case Shared:
		lock, _, err = filelock.Wait(ctx, name, filelock.Shared)
	}
	return lock, err
}

// makeCache makes the data of a cache directory, aside, because others may be about to make it too.
func (s *Store) makeCache(dir, name string, fill func(*os.File) error) (*os.File, error) {
	tree := s.temporary("cache")
	data, err := makeTree(tree)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	if err := fill(data); err != nil {
		return nil, err
	}
	text, err := json.Marshal(cacheRecord{Name: name, Made: time.Now()})
	if err != nil {
		return nil, err
	}
	if err := wholefile.Write(filepath.Join(dir, "rec"), 0o600, text); err != nil {
		return nil, err
	}
	if err := s.publish(filepath.Join(tree, "fs"), filepath.Join(dir, "data")); err != nil {
		return nil, err
	}
	return openDir(filepath.Join(dir, "data"))
}

// WriteTree writes entries into an empty directory.
func (s *Store) WriteTree(dir *os.File, entries Entries) error {
	_, err := writeDir(dir, s.owners, entries, nil)
	return err
}

//go:build linux

package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/filelock"
)

// shelf keeps trees under keys. The zero value becomes usable with open.
type shelf struct {
	once    sync.Once
	openErr error
	dir     string

	mu sync.Mutex
	// held are the trees in use, locked shared.
	held map[string]*os.File
}

// entry names a tree on a shelf.
type entry struct {
	key string
	// boot, if not empty, is the boot of the machine (see bootID) in which the tree was made: it was not
	// written through to the disk, so it is not trusted after a power cut.
	boot string
}

// record says what a tree looked like when it was complete.
type record struct {
	Boot  string `json:"boot,omitempty"`
	Print string `json:"print"`
}

// The directories of a shelf.
const (
	keptDir         = "kept"
	indexDir        = "index"
	repositoriesDir = "repositories"
	locksDir        = "locks"
	tmpDir          = "tmp"

	treeName   = "tree"
	recordName = "record"
)

// open makes the directories below dir, once.
func (s *shelf) open(dir string) error {
	s.once.Do(func() {
		s.dir, s.held = dir, map[string]*os.File{}
		if !filepath.IsAbs(dir) {
			s.openErr = fmt.Errorf("keeping files in %q: not an absolute path", dir)
			return
		}
		for _, name := range []string{keptDir, indexDir, repositoriesDir, locksDir, tmpDir} {
			if s.openErr = os.MkdirAll(filepath.Join(dir, name), 0o700); s.openErr != nil {
				return
			}
		}
		s.sweep()
	})
	return s.openErr
}

// close lets go of all trees.
func (s *shelf) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.held {
		f.Close()
	}
	clear(s.held)
}

func (s *shelf) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// lock waits until nobody else makes what key names.
func (s *shelf) lock(ctx context.Context, key string) (*os.File, error) {
	f, _, err := filelock.Wait(ctx, s.path(locksDir, key), filelock.Exclusive)
	return f, err
}

// hold locks a directory so that nobody removes it. One that somebody is removing is filelock.ErrBusy.
func hold(dir string) (*os.File, error) {
	return filelock.TryOpen(dir, os.O_RDONLY|unix.O_DIRECTORY, filelock.Shared)
}

// get returns the tree called e and holds it. ok is false if there is none, or none that is whole.
func (s *shelf) get(e entry) (tree string, ok bool) {
	dir := s.path(keptDir, e.key)
	tree = filepath.Join(dir, treeName)
	if s.holds(e.key) {
		return tree, true
	}
	f, err := hold(dir)
	if err != nil {
		return "", false
	}
	if !whole(dir, e.boot) {
		f.Close()
		return "", false
	}
	now := time.Now()
	_ = os.Chtimes(dir, now, now) // when it was last used
	s.hold(e.key, f)
	return tree, true
}

func (s *shelf) holds(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.held[key]
	return ok
}

// hold keeps f, the lock of the tree called key, until the shelf is closed.
func (s *shelf) hold(key string, f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.held[key]; ok {
		f.Close()
		return
	}
	s.held[key] = f
}

// made returns the tree called e, which fill makes if there is none.
func (s *shelf) made(ctx context.Context, e entry, fill func(*draft) error) (tree string, err error) {
	if tree, ok := s.get(e); ok {
		return tree, nil
	}
	l, err := s.lock(ctx, e.key)
	if err != nil {
		return "", err
	}
	defer l.Close()
	if tree, ok := s.get(e); ok { // somebody else was about it
		return tree, nil
	}
	d, err := s.draft()
	if err != nil {
		return "", err
	}
	defer d.drop()
	if err := fill(d); err != nil {
		return "", err
	}
	return s.keep(d, e)
}

// whole reports whether the tree in dir is as it was when it was made.
func whole(dir, boot string) bool {
	text, err := os.ReadFile(filepath.Join(dir, recordName))
	if err != nil {
		return false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.Boot != boot {
		return false
	}
	now, err := fingerprint(filepath.Join(dir, treeName))
	return err == nil && now == r.Print
}

// keep puts the tree of d on the shelf as e and holds it. Where a whole one is already, that one stays.
func (s *shelf) keep(d *draft, e entry) (tree string, err error) {
	if err := d.seal(e.boot); err != nil {
		return "", err
	}
	f, err := hold(d.path(keptDir))
	if err != nil {
		return "", err
	}
	dir := s.path(keptDir, e.key)
	err = os.Rename(d.path(keptDir), dir)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		if tree, ok := s.get(e); ok {
			f.Close()
			return tree, nil
		}
		err = errors.Join(os.Rename(dir, d.path("damaged")), os.Rename(d.path(keptDir), dir))
	}
	if err != nil {
		f.Close()
		return "", err
	}
	s.hold(e.key, f)
	return filepath.Join(dir, treeName), nil
}

// bootID names the time since the machine was started.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return string(id)
}

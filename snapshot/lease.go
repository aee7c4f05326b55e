//go:build linux

package snapshot

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/filelock"
)

// A process tells what it uses by writing the name of it into its lease, a file beside its lock, before it
// opens it. Who removes something moves it aside first and then reads the leases of the living; what is
// in one goes back. In whichever order the two happen nobody opens what is being removed: a reader that
// loses sees that it is not there.

// lease says that this process uses the object at path, which is in the store.
func (s *Store) lease(path string) error {
	name, err := filepath.Rel(s.path, path)
	if err != nil {
		return err
	}
	if _, known := s.leased.LoadOrStore(name, true); known {
		return nil
	}
	_, err = s.leases.WriteString(name + "\n") // one write, so that lines of several goroutines stay whole
	return err
}

// openBlob opens a blob that this process has told that it uses. Who prunes may have it aside for a moment, until it has
// read the leases.
func (s *Store) openBlob(digest v1.Hash) (*os.File, error) {
	f, err := os.Open(s.BlobPath(digest))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	lock, err := filelock.Block(s.pruneLock(), filelock.Exclusive)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	return os.Open(s.BlobPath(digest))
}

// living reads what all living processes use.
func (s *Store) living() (map[string]bool, error) {
	dirs, err := os.ReadDir(filepath.Join(s.path, "tmp"))
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, d := range dirs {
		if strings.HasPrefix(d.Name(), "new-") {
			continue // not begun to use anything, and not to be locked by others
		}
		dir := filepath.Join(s.path, "tmp", d.Name())
		lock, err := tryExisting(filepath.Join(dir, "lock"), filelock.Shared)
		if err == nil && dir != s.tmp { // nobody holds it: its process is dead
			lock.Close()
			continue
		}
		if err == nil {
			lock.Close()
		}
		if err := readLease(filepath.Join(dir, "lease"), used); err != nil {
			return nil, err
		}
	}
	return used, nil
}

func readLease(name string, used map[string]bool) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		used[lines.Text()] = true
	}
	return nil
}

//go:build linux

package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// What is mounted for every command needs a place in its tree, which an image may lack. Those places lie in a directory of
// the store that is below all layers: then none has to be made in the tree and removed again for each command, and the
// directories that hold them keep their times.

// mountPointDirs and mountPointFiles are those places.
func mountPointDirs() []string  { return []string{"dev", "etc", "proc", "sys"} }
func mountPointFiles() []string { return []string{"etc/hosts", "etc/resolv.conf"} }

// mountPoints opens that directory, and makes it if it is missing.
func (s *Store) mountPoints() (*os.File, error) {
	final := filepath.Join(s.path, "mountpoints")
	dir, err := openDir(final)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	made := s.temporary("mountpoints")
	if err := makeMountPoints(made); err != nil {
		return nil, err
	}
	if err := s.publish(made, final); err != nil {
		return nil, err
	}
	return openDir(final)
}

func makeMountPoints(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, name := range mountPointDirs() {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.Mkdir(at, 0o700), unix.Chmod(at, 0o755)); err != nil {
			return err
		}
	}
	for _, name := range mountPointFiles() {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(at, nil, 0o600), unix.Chmod(at, 0o644)); err != nil {
			return err
		}
	}
	for _, name := range mountPointDirs() { // any time, but one that is the same in every store
		if err := os.Chtimes(filepath.Join(dir, name), time.Unix(0, 0), time.Unix(0, 0)); err != nil {
			return err
		}
	}
	return nil
}

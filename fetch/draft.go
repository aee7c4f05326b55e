//go:build linux

package fetch

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-298d225e/builder/filelock"
)

// draft is a directory in which a tree is made before it is put on a shelf.
type draft struct {
	dir  string
	lock *os.File
}

// draft makes an empty draft. It has to be dropped, whether or not its tree was kept.
func (s *shelf) draft() (*draft, error) {
	for {
		dir, err := os.MkdirTemp(s.path(tmpDir), "")
		if err != nil {
			return nil, err
		}
		f, err := hold(dir)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, filelock.ErrBusy) {
			continue // another process took it for a leftover
		}
		if err != nil {
			return nil, err
		}
		d := &draft{dir: dir, lock: f}
		if err := os.MkdirAll(d.tree(), 0o700); err != nil {
			d.drop()
			return nil, err
		}
		return d, os.Chmod(d.tree(), 0o755) // whatever the umask
	}
}

func (d *draft) path(name string) string { return filepath.Join(d.dir, name) }

// tree is the directory to fill.
func (d *draft) tree() string { return filepath.Join(d.dir, keptDir, treeName) }

// seal records what the tree looks like.
func (d *draft) seal(boot string) error {
	seen, err := fingerprint(d.tree())
	if err != nil {
		return err
	}
	text, err := json.Marshal(record{Boot: boot, Print: seen})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, keptDir, recordName), text, 0o600)
}

// drop removes what is left of the draft.
func (d *draft) drop() {
	_ = removeTree(d.dir)
	d.lock.Close()
}

// sweep removes drafts of processes that are gone. What cannot be removed stays.
func (s *shelf) sweep() {
	left, err := os.ReadDir(s.path(tmpDir))
	if err != nil {
		return
	}
	for _, e := range left {
		name := s.path(tmpDir, e.Name())
		f, err := filelock.TryOpen(name, os.O_RDONLY, filelock.Exclusive)
		if err != nil {
			continue
		}
		_ = removeTree(name)
		f.Close()
	}
}

// removeTree removes a directory of ours and all that is in it, even where a directory may not be written.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			return os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// writeFile writes a file that appears whole.
func (d *draft) writeFile(name string, data []byte) error {
	tmp := d.path("file")
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

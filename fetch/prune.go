//go:build linux

package fetch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/filelock"
)

// Kept is something that is kept between builds: a download, an unpacked archive, a checkout or a repository.
type Kept struct {
	// Path is where it is.
	Path string
	// Size is what it takes on the disk, in bytes.
	Size int64
	// Used is when it was last used.
	Used time.Time
}

// List returns what is kept below dir, the directory of an [HTTP], a [Git] or both.
func List(dir string) ([]Kept, error) {
	var all []Kept
	for _, kind := range []string{keptDir, repositoriesDir} {
		entries, err := os.ReadDir(filepath.Join(dir, kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			k := Kept{Path: filepath.Join(dir, kind, e.Name())}
			if info, err := e.Info(); err == nil {
				k.Used = info.ModTime()
			}
			k.Size = diskSize(k.Path)
			all = append(all, k)
		}
	}
	return all, nil
}

// diskSize adds up what the files below dir take, as far as they can be seen.
func diskSize(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it is gone, or not ours
		}
		if info, err := e.Info(); err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				size += 512 * stat.Blocks
			}
		}
		return nil
	})
	return size
}

// Remove removes what [List] found, unless it is in use: then removed is false.
func Remove(k Kept) (removed bool, err error) {
	kind, key := filepath.Base(filepath.Dir(k.Path)), filepath.Base(k.Path)
	dir := filepath.Dir(filepath.Dir(k.Path))
	if kind != keptDir && kind != repositoriesDir {
		return false, fmt.Errorf("removing %s: not something that is kept", k.Path)
	}
	lockName := filepath.Join(dir, locksDir, key)
	maker, err := filelock.Try(lockName, filelock.Exclusive)
	if err != nil {
		return false, unlessBusy(err)
	}
	defer maker.Close()
	f, err := filelock.TryOpen(k.Path, os.O_RDONLY|unix.O_DIRECTORY, filelock.Exclusive)
	if err != nil {
		return false, unlessBusy(err)
	}
	defer f.Close()
	// It is renamed before it is removed, so that nobody finds half of it. The lock keeps it from being swept.
	trash := filepath.Join(dir, tmpDir, "removed-"+key)
	_ = removeTree(trash) // of one who was killed
	if err := os.Rename(k.Path, trash); err != nil {
		return false, err
	}
	_ = os.Remove(lockName)
	if kind == keptDir {
		forget(dir, key)
	}
	return true, removeTree(trash)
}

func unlessBusy(err error) error {
	if errors.Is(err, filelock.ErrBusy) {
		return nil
	}
	return err
}

// forget removes the addresses that led to the tree called key.
func forget(dir, key string) {
	names, err := filepath.Glob(filepath.Join(dir, indexDir, "*"))
	if err != nil {
		return
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var a address
		if json.Unmarshal(text, &a) == nil && a.Key == key {
			forgetAddress(name, filepath.Join(dir, locksDir, filepath.Base(name)))
		}
	}
}

func forgetAddress(name, lockName string) {
	l, err := filelock.Try(lockName, filelock.Exclusive)
	if err != nil {
		return // it is being asked anew
	}
	defer l.Close()
	_ = os.Remove(name)
	_ = os.Remove(lockName)
}

//go:build linux

package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
)

// fingerprint names what the files below dir look like from outside: paths, modes, sizes, inodes and
// modification times. Nothing is read. The time of change is not part of it, because a hard link that is made
// elsewhere changes that too.
func fingerprint(dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
		}
		size := info.Size()
		if info.IsDir() {
			size = 0
		}
		_, err = fmt.Fprintf(h, "%q %o %d %d %d\n", name[len(dir):], info.Mode(), size, stat.Ino, info.ModTime().UnixNano())
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// keyOf names what has these properties.
func keyOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%q\n", p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

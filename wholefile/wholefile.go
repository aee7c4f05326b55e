// Package wholefile writes files that appear whole: who sees one sees all of it. Another name beside it is written to
// and renamed; if that fails it is removed, and an older file stays.
package wholefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Write writes content to the file called name, which gets mode whatever the umask is.
func Write(name string, mode fs.FileMode, content []byte) error {
	return Create(name, mode, func(w io.Writer) error { _, err := w.Write(content); return err })
}

// WriteFrom is [Write] for a file that is made in another directory of the same file system, from where it is renamed.
func WriteFrom(dir, name string, mode fs.FileMode, content []byte) error {
	return create(dir, name, mode, func(w io.Writer) error { _, err := w.Write(content); return err })
}

// Create is [Write] for what write writes.
func Create(name string, mode fs.FileMode, write func(io.Writer) error) error {
	return create(filepath.Dir(name), name, mode, write)
}

func create(dir, name string, mode fs.FileMode, write func(io.Writer) error) error {
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+unfinished)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	err = write(f)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}

const unfinished = ".new-"

// Unfinished reports whether a file is one that is still being written under another name, or never will be because its
// writer was killed.
func Unfinished(name string) bool {
	base := filepath.Base(name)
	return strings.HasPrefix(base, ".") && strings.Contains(base, unfinished)
}

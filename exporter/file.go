package exporter

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile makes a file appear whole: write writes to another name beside it, which is renamed. If that
// fails the other one is removed and an older file stays.
func writeFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	err = write(f)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}

// destinationFile is a file, or a stream that somebody else opened.
type destinationFile struct {
	path   string
	stream io.Writer
}

func (d destinationFile) write(write func(io.Writer) error) error {
	if d.stream != nil {
		return write(d.stream)
	}
	if info, err := os.Stat(d.path); err == nil && !info.Mode().IsRegular() {
		return d.overwrite(write)
	}
	return writeFile(d.path, 0o644, write)
}

// overwrite writes to what is not a regular file and so cannot be replaced: a pipe, or /dev/null.
func (d destinationFile) overwrite(write func(io.Writer) error) error {
	f, err := os.OpenFile(d.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("writing %s: %w", d.path, err)
	}
	return errors.Join(write(f), f.Close())
}

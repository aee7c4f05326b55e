package exporter

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/seed-298d225e/builder/wholefile"
)

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
	return wholefile.Create(d.path, 0o644, write)
}

// overwrite writes to what is not a regular file and so cannot be replaced: a pipe, or /dev/null.
func (d destinationFile) overwrite(write func(io.Writer) error) error {
	f, err := os.OpenFile(d.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("writing %s: %w", d.path, err)
	}
	return errors.Join(write(f), f.Close())
}

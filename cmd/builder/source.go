//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/inroot"
	"github.com/seed-298d225e/builder/solver"
)

// source is what is built: a Dockerfile and the context it can copy from.
type source struct {
	dockerfile []byte
	// filename is what messages call the Dockerfile.
	filename string
	context  *solver.Vertex
	// ignore are the patterns of the ignore file.
	ignore []string
}

// maxDockerfile bounds Dockerfiles and ignore files, in bytes.
const maxDockerfile = 4 << 20

// readSource finds the Dockerfile and the context that the arguments name.
func (o *buildOptions) readSource(_ context.Context) (*source, error) {
	dir, err := filepath.Abs(o.context)
	if err != nil {
		return nil, err
	}
	root, err := os.Open(dir)
	if err != nil {
		return nil, usagef("the context %s: %w", o.context, errors.Unwrap(err))
	}
	defer root.Close()
	if info, err := root.Stat(); err != nil || !info.IsDir() {
		return nil, usagef("the context %s is not a directory", o.context)
	}
	s := &source{}
	if err := s.readDockerfile(root, o.file); err != nil {
		return nil, err
	}
	if err := s.readIgnore(root, o.file); err != nil {
		return nil, err
	}
	s.context = solver.NewVertex(solver.Vertex{Op: solver.Local{Name: "context", Dir: dir, Exclude: s.ignore}})
	return s, nil
}

// readDockerfile reads the Dockerfile that -f names, or the one in the context. The latter cannot lie
// outside of it.
func (s *source) readDockerfile(root *os.File, named string) error {
	var err error
	switch named {
	case "-":
		s.filename = "Dockerfile"
		s.dockerfile, err = readAll(os.Stdin, "standard input")
		return err
	case "":
		for _, name := range []string{"Dockerfile", "dockerfile"} {
			s.filename = name
			if s.dockerfile, err = readIn(root, name); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return usagef("the context %s has no Dockerfile: name one with -f", root.Name())
	}
	s.filename = named
	f, err := os.OpenFile(named, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return usagef("the Dockerfile %s: %w", named, errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() && !strings.HasPrefix(named, "/dev/fd/") {
		return usagef("the Dockerfile %s is not a regular file", named)
	}
	s.dockerfile, err = readAll(f, named)
	return err
}

// readIgnore reads the ignore file: NAME.dockerignore beside a Dockerfile called NAME, else .dockerignore
// in the context.
func (s *source) readIgnore(root *os.File, dockerfile string) error {
	name := ".dockerignore"
	var text []byte
	err := fs.ErrNotExist
	switch dockerfile {
	case "-":
	case "":
		text, err = readIn(root, s.filename+".dockerignore")
		name = s.filename + ".dockerignore"
	default:
		var beside *os.File
		if beside, err = os.Open(filepath.Dir(dockerfile)); err == nil {
			name = filepath.Base(dockerfile) + ".dockerignore"
			text, err = readIn(beside, name)
			beside.Close()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		name = ".dockerignore"
		text, err = readIn(root, name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the ignore file: %w", err)
	}
	s.ignore, err = frontend.ParseIgnore(name, text)
	return err
}

// readIn reads a regular file in a directory; links in it lead nowhere but into it.
func readIn(dir *os.File, name string) ([]byte, error) {
	f, err := inroot.Open(dir, name, os.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, usagef("%s in the context is not a regular file", name)
	}
	return readAll(f, name)
}

// readAll reads a Dockerfile or ignore file.
func readAll(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxDockerfile+1))
	if err == nil && len(b) > maxDockerfile {
		err = usagef("%s is larger than %d bytes", name, maxDockerfile)
	}
	return b, err
}

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/fetch"
	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/inroot"
	"github.com/seed-298d225e/builder/lockfile"
	"github.com/seed-298d225e/builder/solver"
)

// source is what is built: a Dockerfile and the context it can copy from.
type source struct {
	dockerfile []byte
	// filename is what messages call the Dockerfile.
	filename string
	// context is the vertex of the context, nil if there is none.
	context *solver.Vertex
	// lock is the lock file beside the Dockerfile, nil if there is none; lockPath is where it is or would be, empty
	// if the Dockerfile is not in a directory of the user.
	lock     *lockfile.File
	lockPath string
	// ignore are the patterns of the ignore file, which only a directory of the user has.
	ignore []string
}

// maxDockerfile bounds Dockerfiles and ignore files, in bytes.
const maxDockerfile = 4 << 20

// readSource finds the Dockerfile and the context that the arguments name.
func (b *build) readSource(ctx context.Context) (*source, error) {
	b.settleEpoch(ctx)
	if b.context == "-" {
		if b.file == "-" {
			return nil, usagef("the context and the Dockerfile cannot both be standard input")
		}
		return b.fromStream(ctx, os.Stdin)
	}
	info, err := os.Stat(b.context)
	if err == nil && info.IsDir() {
		return b.fromDirectory(ctx)
	}
	if err == nil {
		return b.fromFile(ctx)
	}
	if ref, ok, err := frontend.ParseGitRef(b.context); ok {
		if err != nil {
			return nil, usagef("the context %s: %w", b.context, err)
		}
		return b.fromGit(ctx, ref)
	}
	if isURL(b.context) {
		return b.fromURL(ctx)
	}
	return nil, usagef("the context %s: %w", b.context, errors.Unwrap(err))
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// fromDirectory builds a directory of the user.
func (b *build) fromDirectory(ctx context.Context) (*source, error) {
	dir, err := filepath.Abs(b.context)
	if err != nil {
		return nil, err
	}
	root, err := os.Open(dir)
	if err != nil {
		return nil, usagef("the context %s: %w", b.context, errors.Unwrap(err))
	}
	defer root.Close()
	s := &source{}
	beside, err := b.readDockerfile(ctx, s, root)
	if err != nil {
		return nil, err
	}
	if beside != nil {
		defer beside.Close()
		s.lockPath = filepath.Join(beside.Name(), filepath.Base(s.filename)+".lock")
		if err := s.readLock(beside, filepath.Base(s.filename)); err != nil {
			return nil, err
		}
	}
	if s.ignore, err = readIgnore(root, beside, filepath.Base(s.filename)); err != nil {
		return nil, err
	}
	s.context = solver.NewVertex(solver.Vertex{Op: solver.Local{Name: "context", Dir: dir, Exclude: s.ignore, Epoch: b.contextEpoch}})
	return s, nil
}

// readDockerfile reads the Dockerfile that -f names, or the one in the context root, and returns the directory
// it is in, if it is in one.
func (b *build) readDockerfile(ctx context.Context, s *source, root *os.File) (beside *os.File, err error) {
	switch {
	case b.file == "-":
		s.filename = "Dockerfile"
		s.dockerfile, err = readAll(os.Stdin, "standard input")
		return nil, err
	case isURL(b.file):
		return nil, b.downloadDockerfile(ctx, s)
	case b.file == "":
		if err := s.readDefault(root); err != nil {
			return nil, err
		}
		return os.Open(root.Name())
	}
	named := b.file
	if _, err := os.Stat(named); errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(named) {
		if in := filepath.Join(root.Name(), named); exists(in) { // as docker, which takes either
			named = in
		}
	}
	s.filename = b.file
	if s.dockerfile, err = readNamed(named); err != nil {
		return nil, err
	}
	return os.Open(filepath.Dir(named))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// readDefault reads the Dockerfile of a context if none is named.
func (s *source) readDefault(root *os.File) (err error) {
	for _, s.filename = range []string{"Dockerfile", "dockerfile"} {
		if s.dockerfile, err = readIn(root, s.filename); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return usagef("the context %s has no Dockerfile: name one with -f", root.Name())
}

// readNamed reads the Dockerfile that -f names.
func readNamed(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, usagef("the Dockerfile %s: %w", name, errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !strings.HasPrefix(name, "/dev/fd/") {
		return nil, usagef("the Dockerfile %s is not a regular file", name)
	}
	return readAll(f, name)
}

// downloadDockerfile reads the Dockerfile that -f has a URL of.
func (b *build) downloadDockerfile(ctx context.Context, s *source) error {
	f, _, err := b.get(ctx, fetch.Request{URL: b.file, Filename: "Dockerfile"})
	if err != nil {
		return err
	}
	s.filename = b.file
	s.dockerfile, err = readNamed(filepath.Join(f.Path, f.Name))
	return err
}

// readIgnore reads the ignore file: NAME.dockerignore beside a Dockerfile called NAME, else .dockerignore
// in the context. beside may be nil.
func readIgnore(root, beside *os.File, dockerfile string) ([]string, error) {
	name := dockerfile + ".dockerignore"
	var text []byte
	err := fs.ErrNotExist
	if beside != nil {
		text, err = readIn(beside, name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		name = ".dockerignore"
		text, err = readIn(root, name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the ignore file: %w", err)
	}
	return frontend.ParseIgnore(name, text)
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

// fromFile builds an archive of the user.
func (b *build) fromFile(ctx context.Context) (*source, error) {
	f, err := os.Open(b.context)
	if err != nil {
		return nil, usagef("the context %s: %w", b.context, errors.Unwrap(err))
	}
	defer f.Close()
	begin := make([]byte, fetch.PeekSize)
	n, err := io.ReadFull(f, begin)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !fetch.IsArchive(begin[:n]) {
		return nil, usagef("the context %s is neither a directory nor an archive; a Dockerfile is named with -f", b.context)
	}
	return b.fromStream(ctx, io.MultiReader(bytes.NewReader(begin[:n]), f))
}

// fromStream builds an archive, or a Dockerfile without a context.
func (b *build) fromStream(ctx context.Context, r io.Reader) (*source, error) {
	stream := bufio.NewReaderSize(r, fetch.PeekSize)
	begin, err := stream.Peek(fetch.PeekSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the context: %w", err)
	}
	if !fetch.IsArchive(begin) {
		s := &source{filename: "Dockerfile"}
		if b.file != "" {
			return nil, usagef("what is on standard input is not an archive in which %s could be", b.file)
		}
		s.dockerfile, err = readAll(stream, "standard input")
		return s, err
	}
	dir := filepath.Join(b.store.Temporary(), "context")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := fetch.Archive(ctx, stream, dir); err != nil {
		return nil, fmt.Errorf("unpacking the context: %w", err)
	}
	return b.fromCheckout(dir, solver.Local{Name: "context", Dir: dir})
}

// fromGit builds a commit of a repository.
func (b *build) fromGit(ctx context.Context, ref frontend.GitRef) (*source, error) {
	op, err := b.gitContext(ctx, ref)
	if err != nil {
		return nil, err
	}
	dir, err := b.checkout(ctx, op)
	if err != nil {
		return nil, err
	}
	return b.fromCheckout(dir, op)
}

// fromURL builds an archive, or a Dockerfile without a context, from the web.
func (b *build) fromURL(ctx context.Context) (*source, error) {
	f, _, err := b.get(ctx, fetch.Request{URL: b.context, Filename: "context"})
	if err != nil {
		return nil, err
	}
	dir, ok, err := b.http.Unpack(ctx, f)
	if err != nil {
		return nil, err
	}
	if ok {
		return b.fromCheckout(dir, solver.Local{Name: "context", Dir: dir})
	}
	s := &source{filename: b.context} // as with BuildKit, whatever --file says
	s.dockerfile, err = readNamed(filepath.Join(f.Path, f.Name))
	return s, err
}

// fromCheckout builds what was brought into dir. The Dockerfile is in there, and nothing is ignored, as
// with BuildKit.
func (b *build) fromCheckout(dir string, op solver.Op) (*source, error) {
	root, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	s := &source{context: solver.NewVertex(solver.Vertex{Op: op})}
	switch b.file {
	case "":
		if err := s.readDefault(root); err != nil {
			return nil, err
		}
		return s, s.readLock(root, s.filename)
	case "-":
		s.filename = "Dockerfile"
		s.dockerfile, err = readAll(os.Stdin, "standard input")
		return s, err
	}
	s.filename = b.file
	s.dockerfile, err = readIn(root, b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("the context %s has no %s", b.context, b.file)
	}
	if err != nil {
		return nil, err
	}
	return s, s.readLock(root, s.filename)
}

// newest returns the time of the newest file in a directory, nil if there is none.
func newest(dir string) (*int64, error) {
	var latest *int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if t := info.ModTime().Truncate(time.Second).Unix(); latest == nil || t > *latest {
			latest = &t
		}
		return nil
	})
	return latest, err
}

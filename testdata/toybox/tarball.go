package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tarball is tar: -c creates, -x extracts, -t lists; -f FILE (else standard input and output), -z for gzip
// (found out when reading), -C DIR, -v. Options may lack their dash.
func tarball(c *call) error {
	args := c.args
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args = append([]string{"-" + args[0]}, args[1:]...)
	}
	o, err := parse(args, "cxtzvp", "fC")
	if err != nil {
		return err
	}
	switch {
	case o.has("c"):
		return c.create(o)
	case o.has("xt"):
		return c.extract(o)
	}
	return usagef("want -c, -x or -t")
}

func (c *call) create(o options) (err error) {
	var out io.Writer = c.out
	if name, ok := o.values['f']; ok && name != "-" {
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	if o.has("z") {
		z := gzip.NewWriter(out)
		defer func() { err = errors.Join(err, z.Close()) }()
		out = z
	}
	t := tar.NewWriter(out)
	defer func() { err = errors.Join(err, t.Close()) }()
	root := o.values['C']
	for _, arg := range o.args {
		all, err := under(filepath.Join(root, arg))
		if err != nil {
			return err
		}
		for _, path := range all {
			if err := c.pack(o, t, path, strings.TrimPrefix(strings.TrimPrefix(path, root), "/")); err != nil {
				return err
			}
		}
	}
	return nil
}

// pack adds a file to an archive.
func (c *call) pack(o options, t *tar.Writer, path, name string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	target := ""
	if fi.Mode().Type() == fs.ModeSymlink {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(fi, target)
	if err != nil {
		return err
	}
	if h.Name = name; fi.IsDir() {
		h.Name += "/"
	}
	if o.has("v") {
		fmt.Fprintln(c.err, h.Name)
	}
	if err := t.WriteHeader(h); err != nil || !fi.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(t, f)
	return err
}

// extract unpacks or lists an archive.
func (c *call) extract(o options) error {
	in := c.in
	if name, ok := o.values['f']; ok && name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	b := bufio.NewReader(in)
	in = b
	if magic, err := b.Peek(2); err == nil && string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(b)
		if err != nil {
			return err
		}
		in = z
	}
	for t := tar.NewReader(in); ; {
		h, err := t.Next()
		if err != nil {
			return notEOF(err)
		}
		if o.has("tv") {
			fmt.Fprintln(c.out, h.Name)
		}
		if o.has("x") {
			if err := unpack(o.values['C'], h, t); err != nil {
				return fmt.Errorf("unpacking %s: %w", h.Name, err)
			}
		}
	}
}

// unpack makes what an entry says below root.
func unpack(root string, h *tar.Header, r io.Reader) error {
	if !filepath.IsLocal(h.Name) && h.Name != "./" {
		return errors.New("the name leads elsewhere")
	}
	path := filepath.Join(root, h.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	fi := h.FileInfo()
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		err = os.MkdirAll(path, 0o777)
	case tar.TypeReg:
		err = unpackFile(path, r)
	case tar.TypeSymlink:
		err = os.Symlink(h.Linkname, path)
	case tar.TypeLink:
		return os.Link(filepath.Join(root, h.Linkname), path)
	case tar.TypeFifo:
		err = unix.Mkfifo(path, uint32(fi.Mode().Perm()))
	default:
		return fmt.Errorf("entries of type %q are not known", h.Typeflag)
	}
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := os.Lchown(path, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if h.Typeflag != tar.TypeSymlink {
		if err := unix.Chmod(path, uint32(h.Mode)&0o7777); err != nil {
			return err
		}
	}
	return setTime(path, h.ModTime)
}

func unpackFile(path string, r io.Reader) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.Close()
}

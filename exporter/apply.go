package exporter

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// What a layer may be at most, so that a hostile one cannot fill memory or disks.
const (
	maxContent = 64 << 30
	maxEntries = 20_000_000
	maxDepth   = 4096
)

// Whiteouts by the layer section of the image specification. Other names with the prefix twice are notes of
// AUFS to itself.
const (
	whiteout     = ".wh."
	opaque       = ".wh..wh..opq"
	whiteoutMeta = ".wh..wh."
)

// flatten returns the file tree of layers, lowest first. The content of files goes to s.
func flatten(ctx context.Context, layers []v1.Layer, s *spool) (*tree, error) {
	t := newTree()
	for i, l := range layers {
		if err := t.applyLayer(ctx, l, i+1, s); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *tree) applyLayer(ctx context.Context, l v1.Layer, number int, s *spool) error {
	r, err := l.Uncompressed()
	if err == nil {
		err = t.apply(cancellableReader(ctx, r), number, s)
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		return fmt.Errorf("reading layer %d: %w", number, err)
	}
	return nil
}

// apply lays the archive in r over the tree, as layer with a number from 1.
func (t *tree) apply(r io.Reader, number int, s *spool) error {
	archive := tar.NewReader(r)
	left := int64(maxContent)
	for entries := 1; ; entries++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, r) // the layer is checked at its very end
			return err
		}
		if err != nil {
			return err
		}
		if left -= h.Size; left < 0 || entries > maxEntries {
			return errors.New("there is more in it than is allowed")
		}
		if err := t.entry(h, archive, number, s); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
}

// entry applies one entry of an archive.
func (t *tree) entry(h *tar.Header, content io.Reader, number int, s *spool) error {
	path, err := cleanPath(h.Name)
	if err != nil {
		return err
	}
	dir, name := splitPath(path)
	switch {
	case h.Typeflag == tar.TypeXGlobalHeader:
		return nil
	case name == "":
		return t.rootEntry(h)
	case name == opaque:
		return t.whiteout(dir, func(n *node) { n.hideAll(number) })
	case strings.HasPrefix(name, whiteoutMeta):
		return nil
	case strings.HasPrefix(name, whiteout):
		hidden := strings.TrimPrefix(name, whiteout)
		if hidden == "" || hidden == "." || hidden == ".." {
			return errors.New("this is not a valid whiteout")
		}
		return t.whiteout(dir, func(n *node) { n.hide(hidden, number) })
	}
	parent, err := t.follow(dir, func(in *node, name string) (*node, error) {
		made := &inode{kind: tar.TypeDir, mode: 0o755, modified: timespec(h)}
		return in.add(name, made, number), nil
	})
	if err != nil {
		return err
	}
	if !parent.dir() {
		return fmt.Errorf("%s: %w", dir, unix.ENOTDIR)
	}
	return t.place(parent, name, h, content, number, s)
}

// cleanPath makes a path relative to the root. A correct layer never climbs, so one that does is refused.
func cleanPath(path string) (string, error) {
	var parts []string
	for p := range strings.SplitSeq(path, "/") {
		switch p {
		case "", ".":
		case "..":
			return "", errors.New("it climbs out of its directory")
		default:
			parts = append(parts, p)
		}
	}
	if len(parts) > maxDepth {
		return "", errors.New("it is too deep")
	}
	return strings.Join(parts, "/"), nil
}

// rootEntry takes the metadata of the root, which can only be a directory.
func (t *tree) rootEntry(h *tar.Header) error {
	if h.Typeflag != tar.TypeDir {
		return errors.New("the root is not a directory")
	}
	*t.root.inode = *newInode(h)
	return nil
}

// whiteout hides something in a directory. Nothing need be there.
func (t *tree) whiteout(dir string, hide func(*node)) error {
	n, err := t.follow(dir, notThere)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err == nil {
		hide(n)
	}
	return err
}

// place puts an entry into its directory.
func (t *tree) place(parent *node, name string, h *tar.Header, content io.Reader, number int, s *spool) error {
	old := parent.children[name]
	switch h.Typeflag {
	case tar.TypeDir:
		if old != nil && old.dir() {
			old.inode, old.layer = newInode(h), number
			return nil
		}
		parent.add(name, newInode(h), number)
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		i := newInode(h)
		var err error
		if i.content, err = s.add(content, h.Size); err != nil {
			return err
		}
		parent.add(name, i, number)
	case tar.TypeLink:
		target, err := t.linkTarget(h)
		if err != nil {
			return err
		}
		if old != target {
			parent.add(name, target.inode, number)
		}
	case tar.TypeChar, tar.TypeBlock:
		if h.Typeflag == tar.TypeChar && h.Devmajor == 0 && h.Devminor == 0 {
			return nil // to overlayfs it would be a whiteout
		}
		parent.add(name, newInode(h), number)
	case tar.TypeSymlink, tar.TypeFifo:
		parent.add(name, newInode(h), number)
	}
	return nil // other types mean nothing to anybody
}

// linkTarget finds what a hard link is to.
func (t *tree) linkTarget(h *tar.Header) (*node, error) {
	path, err := cleanPath(h.Linkname)
	if err != nil {
		return nil, fmt.Errorf("the link to %q: %w", h.Linkname, err)
	}
	n, err := t.lookup(path)
	if err != nil {
		return nil, fmt.Errorf("the link to %q: %w", h.Linkname, err)
	}
	if n.dir() {
		return nil, fmt.Errorf("the link to %q: it is a directory", h.Linkname)
	}
	return n, nil
}

// newInode takes the metadata of an entry.
func newInode(h *tar.Header) *inode {
	i := &inode{
		kind: h.Typeflag, mode: uint32(h.Mode) & 0o7777, uid: h.Uid, gid: h.Gid, modified: timespec(h),
		target: h.Linkname, major: h.Devmajor, minor: h.Devminor,
	}
	if i.kind == tar.TypeGNUSparse || i.kind == tar.TypeCont {
		i.kind = tar.TypeReg
	}
	const prefix = "SCHILY.xattr."
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, prefix)
		if !ok || strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.") {
			continue
		}
		if i.xattrs == nil {
			i.xattrs = map[string]string{}
		}
		i.xattrs[name] = value
	}
	return i
}

// timespec is when an entry was modified. Archives can hold times that no system call takes.
func timespec(h *tar.Header) unix.Timespec {
	return unix.Timespec{Sec: h.ModTime.Unix(), Nsec: int64(h.ModTime.Nanosecond())}
}

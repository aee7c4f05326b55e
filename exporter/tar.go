package exporter

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// Tar writes the files of a result as a tar archive: type=tar. Equal files give equal bytes, however the
// layers are cut.
type Tar struct {
	// Path is the file to write, unless there is a Stream.
	Path   string
	Stream io.Writer
	// Temp is a directory for the content of files until the archive is written. Empty means the one that
	// Path is in, or the system's for a Stream.
	Temp string
	Files
}

// Write implements Output.
func (o Tar) Write(ctx context.Context, r Result) (Written, error) {
	temp := o.Temp
	if temp == "" && o.Stream == nil {
		temp = filepath.Dir(o.Path)
	}
	s, err := newSpool(temp)
	if err != nil {
		return Written{}, err
	}
	t, err := o.tree(ctx, r, s)
	if err == nil {
		file := destinationFile{o.Path, o.Stream}
		err = file.write(func(w io.Writer) error { return writeTree(cancellable(ctx, w), t, s) })
	}
	return Written{}, errors.Join(err, s.close())
}

// treeWriter writes a tree as an archive.
type treeWriter struct {
	*tar.Writer
	spool *spool
	names firstNames
}

func writeTree(w io.Writer, t *tree, s *spool) error {
	tw := &treeWriter{tar.NewWriter(w), s, firstNames{}}
	if err := tw.dir(t.root, ""); err != nil {
		return err
	}
	return tw.Close()
}

// dir writes what is in a directory, whose path ends with a slash unless it is the root's.
func (w *treeWriter) dir(n *node, path string) error {
	for _, name := range n.names() {
		child := n.children[name]
		if err := w.node(child, path+name); err != nil {
			return fmt.Errorf("adding %s to the archive: %w", path+name, err)
		}
		if child.dir() {
			if err := w.dir(child, path+name+"/"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *treeWriter) node(n *node, path string) error {
	h := header(n, path)
	if first := w.names.of(n, path); first != "" {
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	if h.Size == 0 {
		return nil
	}
	return w.spool.copy(w, n.content)
}

// header describes a node under a path.
func header(n *node, path string) *tar.Header {
	h := &tar.Header{
		Typeflag: n.kind, Name: path, Mode: int64(n.mode), Uid: n.uid, Gid: n.gid,
		ModTime: time.Unix(n.modified.Sec, n.modified.Nsec), Format: tar.FormatPAX,
	}
	switch n.kind {
	case tar.TypeDir:
		h.Name += "/"
	case tar.TypeReg:
		h.Size = n.content.size
	case tar.TypeSymlink:
		h.Linkname = n.target
	case tar.TypeChar, tar.TypeBlock:
		h.Devmajor, h.Devminor = n.major, n.minor
	}
	for name, value := range n.xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+name] = value
	}
	return h
}

package exporter

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is a file system on paper.
type tree struct{ root *node }

// node is a name in the tree. Hard links are nodes with one inode.
type node struct {
	*inode
	parent   *node
	children map[string]*node
	// layer is the number of the layer that the name comes from.
	layer int
}

// inode is a file, directory, link or device without its name.
type inode struct {
	// kind is one of the Type constants of archive/tar: TypeReg, TypeDir, TypeSymlink, TypeChar, TypeBlock
	// or TypeFifo.
	kind         byte
	mode         uint32 // permission bits, with setuid, setgid and sticky
	uid, gid     int
	modified     unix.Timespec
	target       string // of a symbolic link
	major, minor int64
	xattrs       map[string]string
	content      extent
	// links is how many names it has been given. Some may be gone.
	links int
}

func newTree() *tree {
	root := &node{inode: &inode{kind: tar.TypeDir, mode: 0o755}, children: map[string]*node{}}
	root.parent = root
	return &tree{root}
}

func (n *node) dir() bool { return n.kind == tar.TypeDir }

// names are the names in a directory, sorted.
func (n *node) names() []string { return slices.Sorted(maps.Keys(n.children)) }

// add puts an inode under a name, in place of what was there.
func (n *node) add(name string, i *inode, layer int) *node {
	i.links++
	child := &node{inode: i, parent: n, layer: layer}
	if child.dir() {
		child.children = map[string]*node{}
	}
	n.children[name] = child
	return child
}

// firstNames are the first names of inodes that have several, in the order of a sorted walk.
type firstNames map[*inode]string

// of returns the name that n's inode had before, empty if path is its first.
func (f firstNames) of(n *node, path string) string {
	if n.dir() || n.links < 2 {
		return ""
	}
	first, met := f[n.inode]
	if !met {
		f[n.inode] = path
	}
	return first
}

// hide removes what layers below the given one have put under a name.
func (n *node) hide(name string, layer int) {
	child := n.children[name]
	if child == nil {
		return
	}
	child.hideAll(layer)
	if child.layer < layer && len(child.children) == 0 {
		delete(n.children, name)
	}
}

// hideAll removes what layers below the given one have put into a directory.
func (n *node) hideAll(layer int) {
	for name := range n.children {
		n.hide(name, layer)
	}
}

// follow returns what a path leads to, with the links on the way resolved as if the tree's root were that of
// the system. For a name that does not exist it asks missing.
func (t *tree) follow(path string, missing func(dir *node, name string) (*node, error)) (*node, error) {
	const mostLinks = 40 // as many as Linux follows
	at, links := t.root, 0
	for rest := strings.Split(path, "/"); len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch {
		case name == "" || name == ".":
			continue
		case !at.dir():
			return nil, fmt.Errorf("%s: %w", path, unix.ENOTDIR)
		case name == "..":
			at = at.parent
			continue
		}
		next := at.children[name]
		if next == nil {
			var err error
			if next, err = missing(at, name); err != nil {
				return nil, err
			}
		}
		if next.kind != tar.TypeSymlink {
			at = next
			continue
		}
		if links++; links > mostLinks {
			return nil, fmt.Errorf("%s: %w", path, unix.ELOOP)
		}
		if strings.HasPrefix(next.target, "/") {
			at = t.root
		}
		rest = append(strings.Split(next.target, "/"), rest...)
	}
	return at, nil
}

// notThere is for follow where nothing is to be made.
func notThere(_ *node, name string) (*node, error) {
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// lookup returns the name that a path leads to: a link at its end is not followed.
func (t *tree) lookup(path string) (*node, error) {
	dir, name := splitPath(path)
	parent, err := t.follow(dir, notThere)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return parent, nil
	}
	if n := parent.children[name]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
}

// splitPath splits a path without "..", "." and empty parts before its last part.
func splitPath(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

package exporter

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// Files say which files of a result are written, by the outputs that write files instead of images.
type Files struct {
	// Split puts the files of every platform into a directory of their own, named like linux_amd64; nil does
	// that if the result has an index: platform-split.
	Split *bool
	// Source is the directory of the image that is written; empty is all of it: src.
	Source string
}

// tree returns the files of r, their content in s.
func (f Files) tree(ctx context.Context, r Result, s *spool) (*tree, error) {
	split := r.Index != nil || len(r.Images) > 1
	if f.Split != nil {
		split = *f.Split
	}
	all := newTree()
	from := map[string]string{}
	for _, b := range r.Images {
		t, err := f.image(ctx, b, s)
		if err != nil {
			return nil, err
		}
		if b.Epoch != nil {
			t.root.date(unix.Timespec{Sec: b.Epoch.Unix(), Nsec: int64(b.Epoch.Nanosecond())})
		}
		if split {
			all.root.adopt(platformDir(b.Platform), t.root)
			continue
		}
		if err := all.root.merge(t.root, "", b.Platform.String(), from); err != nil {
			return nil, err
		}
	}
	return all, s.seal()
}

// image returns the files of one image.
func (f Files) image(ctx context.Context, b Built, s *spool) (*tree, error) {
	layers, err := b.layers()
	if err != nil {
		return nil, err
	}
	t, err := flatten(ctx, layers, s)
	if err != nil {
		return nil, err
	}
	if t, err = f.source(t, b); err != nil {
		return nil, err
	}
	return t, t.addStatements(b.Statements, s)
}

// source returns the part of a tree that is written.
func (f Files) source(t *tree, b Built) (*tree, error) {
	if f.Source == "" {
		return t, nil
	}
	root, err := t.follow(f.Source, notThere)
	if err == nil && !root.dir() {
		err = unix.ENOTDIR
	}
	if err != nil {
		return nil, fmt.Errorf("looking up %s in the image for %s: %w", f.Source, b.Platform, err)
	}
	return &tree{root}, nil
}

// addStatements puts statements beside the files.
func (t *tree) addStatements(statements []Statement, s *spool) error {
	for _, one := range statements {
		if t.root.children[one.File] != nil {
			return fmt.Errorf("adding the attestation %s: the image has a file of that name; give it another with filename=", one.File)
		}
		content, err := s.add(bytes.NewReader(one.Raw), int64(len(one.Raw)))
		if err != nil {
			return err
		}
		t.root.add(one.File, &inode{kind: tar.TypeReg, mode: 0o644, content: content}, 0)
	}
	return nil
}

// platformDir is the name of a platform as a directory, such as linux_arm_v7. The variant v8 of arm64 goes
// without saying.
func platformDir(p v1.Platform) string {
	parts := []string{p.OS, p.Architecture}
	if p.Variant != "" && (p.Architecture != "arm64" || p.Variant != "v8") {
		parts = append(parts, p.Variant)
	}
	name := strings.NewReplacer("/", "_", `\`, "_", ":", "_", "\x00", "_").Replace(strings.Join(parts, "_"))
	return strings.TrimLeft(name, ".")
}

// adopt puts a whole tree under a name.
func (n *node) adopt(name string, root *node) {
	root.parent = n
	n.children[name] = root
}

// merge adds the files of another platform. They must not be where files of a platform before are; from
// says of which platform a path is.
func (n *node) merge(other *node, path, platform string, from map[string]string) error {
	for _, name := range other.names() {
		theirs, at := other.children[name], path+"/"+name
		ours := n.children[name]
		switch {
		case ours == nil:
			n.adopt(name, theirs)
			theirs.claim(at, platform, from)
		case ours.dir() && theirs.dir():
			if err := ours.merge(theirs, at, platform, from); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is in the images for %s and for %s: write them to separate directories with platform-split=true", at, from[at], platform)
		}
	}
	return nil
}

// claim notes down for which platform all below n is.
func (n *node) claim(path, platform string, from map[string]string) {
	from[path] = platform
	for name, child := range n.children {
		child.claim(path+"/"+name, platform, from)
	}
}

// date gives all below n the same time.
func (n *node) date(t unix.Timespec) {
	n.modified = t
	for _, child := range n.children {
		child.date(t)
	}
}

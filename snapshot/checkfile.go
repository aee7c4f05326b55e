//go:build linux

package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// treeCheck compares an unpacked layer with what is known of it.
type treeCheck struct {
	// root is the directory fs, tree the same to be read.
	root  *os.File
	tree  Dir
	store *Store
}

var (
	errMissing = errors.New("it is missing")
	errContent = errors.New("its content was changed")
)

// compareMetadata compares all that is known of a file but its content. What the file system of the store has made of it
// is right: some hold times in whole seconds, or no attributes.
func (c *treeCheck) compareMetadata(got, want *Entry) error {
	err := difference(got, want)
	if err == nil {
		return nil
	}
	made, failure := c.asMade(want)
	if failure == nil && difference(got, made) == nil {
		return nil
	}
	return err
}

// asMade makes a file with the metadata of e, and returns how it came out; fs.ErrNotExist if it cannot be made here.
func (c *treeCheck) asMade(e *Entry) (*Entry, error) {
	tree := c.store.temporary("check")
	defer func() { _ = os.RemoveAll(tree) }() // what is left ends with the process
	root, err := makeTree(tree)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	empty := *e
	empty.Path, empty.Size, empty.Open = "made", 0, nil
	if _, err := writeDir(root, c.store.owners, Listed([]*Entry{&empty}), nil); err != nil {
		return nil, err
	}
	dir, err := treeDir(root)
	if err != nil {
		return nil, err
	}
	made, err := dir.Lstat(empty.Path)
	if err != nil {
		return nil, err
	}
	made.Path, made.Size = e.Path, e.Size
	return made, nil
}

// difference says what of the metadata of a file is not as it was.
func difference(got, want *Entry) error {
	differs := func(what string, got, want any) error {
		return fmt.Errorf("%s was changed: it is %v and was %v", what, got, want)
	}
	switch {
	case got.Kind != want.Kind:
		return differs("its kind", got.Kind.name(), want.Kind.name())
	case got.Mode != want.Mode && want.Kind != Symlink: // the system says of all links that their mode is 777
		return differs("its mode", fmt.Sprintf("%04o", got.Mode), fmt.Sprintf("%04o", want.Mode))
	case got.UID != want.UID || got.GID != want.GID:
		return differs("its owner", fmt.Sprintf("%d:%d", got.UID, got.GID), fmt.Sprintf("%d:%d", want.UID, want.GID))
	case got.Size != want.Size:
		return differs("its size", got.Size, want.Size)
	case got.Link != want.Link:
		return differs("where it leads", fmt.Sprintf("%q", got.Link), fmt.Sprintf("%q", want.Link))
	case got.Major != want.Major || got.Minor != want.Minor:
		return differs("its device", fmt.Sprintf("%d:%d", got.Major, got.Minor), fmt.Sprintf("%d:%d", want.Major, want.Minor))
	case got.Opaque && !want.Opaque:
		return errors.New("it hides what is below it, and should not")
	case !maps.Equal(got.Xattrs, want.Xattrs):
		return fmt.Errorf("its extended attributes were changed: they are %q and were %q", got.Xattrs, want.Xattrs)
	case !got.ModTime.Equal(want.ModTime):
		return differs("its time", got.ModTime.UTC(), want.ModTime.UTC())
	}
	return nil
}

// name is what the kind is called.
func (k Kind) name() string {
	switch k {
	case Regular, Hardlink:
		return "a file"
	case Directory:
		return "a directory"
	case Symlink:
		return "a symbolic link"
	case CharDevice, BlockDevice:
		return "a device"
	case Fifo:
		return "a FIFO"
	case Whiteout:
		return "a whiteout"
	}
	return "nothing"
}

// compareMark checks that overlayfs is told of a marked file that stands for a whiteout.
func (c *treeCheck) compareMark(e *Entry) error {
	if e.Kind != Whiteout {
		return nil // a device, of which it knows
	}
	dir, err := inroot.OpenReal(c.root, parent(e.Path), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	marks, err := readMarks(dir)
	if err == nil && !marks.opaque && !marks.whiteouts {
		err = errors.New("its directory has lost the mark that it holds what hides something")
	}
	return err
}

// compareLink checks that a hard link is another name of the file that it was linked to.
func (c *treeCheck) compareLink(e *Entry) error {
	var ids [2]inode
	for n, name := range []string{e.Path, e.Link} {
		f, err := inroot.Open(c.root, name, unix.O_PATH|unix.O_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			return errMissing
		}
		if err != nil {
			return err
		}
		ids[n], err = inodeOf(f)
		f.Close()
		if err != nil {
			return err
		}
	}
	if ids[0] != ids[1] {
		return fmt.Errorf("it is no longer the same file as /%s", e.Link)
	}
	return nil
}

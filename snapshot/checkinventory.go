//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// inventoryCheck compares the directory of an image's unpacked layer with its inventory. Of all that stands in an
// inventory it keeps eight bytes a line, so that memory does not limit how many files a layer may have.
type inventoryCheck struct {
	root *os.File
	tree Dir
	// scratch is a directory where files can be made.
	scratch string
	// listed are the hashes of the paths in the inventory, in order once all of it was read.
	listed []uint64
	seed   maphash.Seed
}

// checkInventory checks that the directory fs that is open at root is as an inventory says.
func (s *Store) checkInventory(ctx context.Context, inventory io.ReadSeeker, root *os.File) error {
	tree, err := treeDir(root)
	if err != nil {
		return err
	}
	c := &inventoryCheck{root: root, tree: tree, scratch: s.tmp, seed: maphash.MakeSeed()}
	if err := c.files(cancellable(ctx, readListing(inventory))); err != nil {
		return err
	}
	if _, err := inventory.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return c.additions(cancellable(ctx, readListing(inventory)))
}

// files checks that all in the inventory is there, and as it was.
func (c *inventoryCheck) files(inventory Entries) error {
	for e, err := range inventory {
		if err != nil {
			return err
		}
		if err := c.compare(e); err != nil {
			return fmt.Errorf("/%s: %w", e.Path, err)
		}
		c.listed = append(c.listed, c.hash(e.Path))
	}
	slices.Sort(c.listed)
	if !c.isListed("") {
		return errListing // its end is missing
	}
	return nil
}

// additions checks that nothing else is there.
func (c *inventoryCheck) additions(inventory Entries) error {
	for e, err := range inventory {
		if err == nil && e.Kind == Directory {
			err = c.onlyListed(e.Path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compare compares one file with what the inventory says of it.
func (c *inventoryCheck) compare(want *Entry) error {
	if want.Kind == Hardlink {
		return c.compareLink(want)
	}
	got, err := c.tree.Lstat(want.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return errMissing
	}
	if err != nil {
		return err
	}
	switch {
	case want.hides() && got.hides():
		return c.compareMark(got)
	case (want.hides() || want.Opaque) && !got.hides() && !got.Opaque:
		return errors.New("it should hide what is below it, and does not")
	}
	err = compareMetadata(got, want)
	if err == nil && want.Kind == Regular {
		err = compareCRC(got, want)
	}
	if err == nil {
		err = c.compareTime(got.ModTime, want.ModTime)
	}
	return err
}

// compareCRC reads a file and compares its content.
func compareCRC(got, want *Entry) error {
	crc, err := contentCRC(got)
	if err == nil && (want.crc == nil || crc != *want.crc) {
		err = errContent
	}
	return err
}

var (
	errMissing = errors.New("it is missing")
	errContent = errors.New("its content was changed")
)

// compareMetadata compares all that is known of a file but its time and content.
func compareMetadata(got, want *Entry) error {
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
	}
	return nil
}

// compareTime compares when a file was modified with what the file system of the store makes of the time that it was
// given: some hold whole seconds, or end in 2038.
func (c *inventoryCheck) compareTime(got, want time.Time) error {
	if got.Equal(want) {
		return nil
	}
	kept, err := c.asKept(want)
	if err != nil || got.Equal(kept) {
		return err
	}
	return fmt.Errorf("its time was changed: it is %v and was %v", got.UTC(), want.UTC())
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

// asKept returns the time of a file that was given a time.
func (c *inventoryCheck) asKept(t time.Time) (kept time.Time, err error) {
	f, err := os.CreateTemp(c.scratch, "time-")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	ts := timespec(t)
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, f.Name(), ts[:], 0); err != nil {
		return t, err
	}
	info, err := f.Stat()
	if err != nil {
		return t, err
	}
	return info.ModTime(), nil
}

// compareMark checks that overlayfs is told of a marked file that stands for a whiteout.
func (c *inventoryCheck) compareMark(e *Entry) error {
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
func (c *inventoryCheck) compareLink(e *Entry) error {
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

// onlyListed checks that a directory of the inventory holds nothing that is not in the inventory.
func (c *inventoryCheck) onlyListed(name string) error {
	dir, err := inroot.OpenReal(c.root, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(someNames)
		for _, n := range names {
			if n = path.Join(name, n); !c.isListed(n) {
				return fmt.Errorf("/%s: it is not in the layer", n)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// someNames is how many names of a directory are read at once.
const someNames = 1024

func (c *inventoryCheck) hash(name string) uint64 { return maphash.String(c.seed, name) }

func (c *inventoryCheck) isListed(name string) bool {
	_, ok := slices.BinarySearch(c.listed, c.hash(name))
	return ok
}

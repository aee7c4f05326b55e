//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// inventoryCheck compares the directory of an image's unpacked layer with its inventory. Of all that stands in an
// inventory it keeps eight bytes a line, so that memory does not limit how many files a layer may have.
type inventoryCheck struct {
	*treeCheck
	// listed are the hashes of the paths in the inventory, in order once all of it was read.
	listed []uint64
	seed   maphash.Seed
}

// inventory checks that the tree is as an inventory says.
func (t *treeCheck) inventory(ctx context.Context, inventory io.ReadSeeker) error {
	c := &inventoryCheck{treeCheck: t, seed: maphash.MakeSeed()}
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
	if want.Kind == Regular && got.Kind == Regular && got.Size == want.Size {
		if err := compareCRC(got, want); err != nil { // which the time would tell too, and not as well
			return err
		}
	}
	return c.compareMetadata(got, want)
}

// compareCRC reads a file and compares its content.
func compareCRC(got, want *Entry) error {
	crc, err := contentCRC(got)
	if err == nil && (want.crc == nil || crc != *want.crc) {
		err = errContent
	}
	return err
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

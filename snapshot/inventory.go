//go:build linux

package snapshot

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// inventory is the file beside the directory fs of an image's unpacked layer that says what stands in it, in lines
// of a listing, in any order. It is for finding what was damaged later: with nothing but a digest of the archive, which
// is not kept, that could not be told. Contents have a CRC-32C, which a processor computes faster than it writes them.
//
// Lines are written while the layer is unpacked. A layer whose entries replace each other or are moved when it is
// settled, which are few, is read once more instead. A nil inventory notes nothing.
type inventory struct {
	file *os.File
	w    *bufio.Writer
	line []byte
	// stale: something that was noted is no longer there, or elsewhere.
	stale bool
}

// inventoryPath is where the inventory of a tree is.
func inventoryPath(tree string) string { return filepath.Join(tree, "inventory") }

// newInventory begins the inventory of a tree. Its file must be closed.
func newInventory(tree string) (*inventory, error) {
	f, err := os.OpenFile(inventoryPath(tree), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &inventory{file: f, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

// add notes a file whose entry says what stands in the directory.
func (i *inventory) add(e *Entry) {
	if i == nil || i.stale {
		return
	}
	i.line = appendListing(i.line[:0], e)
	_, _ = i.w.Write(i.line) // Flush has the error
}

// addFound notes what is not a regular file as it stands at name.
func (i *inventory) addFound(root *os.File, name string) error {
	if i == nil || i.stale {
		return nil
	}
	e, err := NewDir(root).Lstat(name)
	if err != nil {
		return err
	}
	i.add(e)
	return nil
}

// outdate says that something that was noted is no longer there, or elsewhere.
func (i *inventory) outdate() {
	if i != nil {
		i.stale = true
	}
}

// finish writes what is left to be written, once the directory fs that is open at root is as it stays.
func (i *inventory) finish(root *os.File) error {
	var err error
	if i.stale {
		err = i.list(root)
	}
	if err == nil {
		err = i.w.Flush()
	}
	if err != nil {
		return fmt.Errorf("writing the inventory of a layer: %w", err)
	}
	return nil
}

// list writes the inventory anew, from the files themselves.
func (i *inventory) list(root *os.File) error {
	if err := i.file.Truncate(0); err != nil {
		return err
	}
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	i.w.Reset(i.file)
	i.stale = false
	tree, err := treeDir(root)
	if err != nil {
		return err
	}
	for e, err := range Walk(tree, "") {
		if err != nil {
			return err
		}
		listed := *e
		if e.Kind == Regular {
			crc, err := contentCRC(e)
			if err != nil {
				return fmt.Errorf("reading /%s: %w", e.Path, err)
			}
			listed.crc = &crc
		}
		i.add(&listed)
	}
	return nil
}

// castagnoli is the polynomial that processors have an instruction for.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// contentCRC reads a regular file and returns its CRC-32C.
func contentCRC(e *Entry) (uint32, error) {
	if e.Size == 0 {
		return 0, nil
	}
	r, err := e.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	h := crc32.New(castagnoli())
	_, err = copyTo(h, r)
	return h.Sum32(), err
}

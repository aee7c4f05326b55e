//go:build linux

package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// listing checks that all that a listing says is in the tree, and adds up to the content ID that the tree is named by.
// There may be more: files that overlayfs copied and nobody changed.
func (c *treeCheck) listing(entries Entries, r treeRecord) error {
	content := NewContentHash(r.Form)
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := c.compareListed(e); err != nil {
			return fmt.Errorf("/%s: %w", e.Path, err)
		}
		content.Add(e)
	}
	if got := content.ID(); got.Hex != r.ID {
		return fmt.Errorf("its content is %s", got)
	}
	return nil
}

// compareListed compares one file with what a listing says of it. That is what goes into the layer; of the time, and of
// what is removed, the directory may say it in another way.
func (c *treeCheck) compareListed(want *Entry) error {
	switch want.Kind { //nolint:exhaustive // the rest is below
	case Whiteout:
		return nil // perhaps the directory that holds it is opaque
	case Hardlink:
		return c.compareLink(want)
	}
	got, err := c.tree.Lstat(want.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := c.asMade(want); errors.Is(err, fs.ErrNotExist) {
			return nil // nor was it when the layer was unpacked
		}
		return errMissing
	}
	if err != nil {
		return err
	}
	got.Opaque, got.ModTime = want.Opaque, want.ModTime
	if err := c.compareMetadata(got, want); err != nil || want.Kind != Regular {
		return err
	}
	return compareSum(got, want)
}

// compareSum reads a file and compares its content.
func compareSum(got, want *Entry) error {
	f, err := got.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if want.Sum == nil || [sha256.Size]byte(h.Sum(nil)) != *want.Sum {
		return errContent
	}
	return nil
}

//go:build linux

package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// treeRecord is the file rec of a tree. What was written since the machine was started is there even if
// its process was killed; after a power failure it may not be, so a tree of an earlier boot counts
// only if it was synced (see Store.settled).
type treeRecord struct {
	ID   string `json:"id"`
	Boot string `json:"boot"`
	// Size adds up the sizes of the files, in bytes.
	Size int64 `json:"size"`
	Form Form  `json:"form,omitempty"`
	// Created is when the layer was packed, if that was elsewhere.
	Created time.Time `json:"created,omitzero"`
	// Disk is as in Owners, of who has made the tree.
	Disk string `json:"disk,omitempty"`
}

// errOtherOwners says of a tree that the owners of its files are not here what they were where it was made.
var errOtherOwners = fmt.Errorf("the owners of its files are other ones here: %w", fs.ErrNotExist)

// usable reports whether the files of a tree have the owners here that they should have.
func (s *Store) usable(r treeRecord) bool {
	return r.Disk == "" || r.Disk == s.owners.Disk || s.lookOnly
}

// publishTree gives a tree its final name.
func (s *Store) publishTree(tree, listing string, r treeRecord) error {
	if listing != "" {
		if err := os.Rename(listing, filepath.Join(tree, "listing")); err != nil {
			return err
		}
	}
	r.Boot, r.Disk = s.boot, s.owners.Disk
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tree, "rec"), text, 0o600); err != nil {
		return err
	}
	id := v1.Hash{Algorithm: "sha256", Hex: r.ID}
	path := s.treePath(id)
	if there, err := readTreeRecord(path); err == nil && !s.usable(there) {
		path = s.ownTreePath(id)
	}
	if err := s.lease(path); err != nil {
		return err
	}
	return s.publish(tree, path)
}

// openTree opens the files of a tree that is in the store. A miss is fs.ErrNotExist.
func (s *Store) openTree(id v1.Hash) (*os.File, treeRecord, error) {
	dir, r, err := s.openTreeAt(s.treePath(id), id)
	if errors.Is(err, errOtherOwners) {
		return s.openTreeAt(s.ownTreePath(id), id)
	}
	return dir, r, err
}

func (s *Store) openTreeAt(path string, id v1.Hash) (*os.File, treeRecord, error) {
	if err := s.lease(path); err != nil {
		return nil, treeRecord{}, err
	}
	r, err := readTreeRecord(path)
	switch {
	case errors.Is(err, errRecord), err == nil && (r.ID != id.Hex || !s.settled(r.Boot, path)):
		return nil, r, s.dropTree(path)
	case err != nil:
		return nil, r, err
	case !s.usable(r):
		return nil, r, errOtherOwners
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // when it was last used
	dir, err := openDir(filepath.Join(path, "fs"))
	return dir, r, err
}

// errRecord: the record of a tree is damaged.
var errRecord = errors.New("its record is damaged")

func readTreeRecord(path string) (r treeRecord, err error) {
	text, err := os.ReadFile(filepath.Join(path, "rec"))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%w: %w", errRecord, err)
	}
	return r, nil
}

// dropTree removes a damaged tree and returns fs.ErrNotExist.
func (s *Store) dropTree(path string) error {
	aside := s.temporary("damaged")
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a damaged tree: %w", err)
	}
	return fs.ErrNotExist
}

// settled reports whether what was written to path during a boot is still what it was.
func (s *Store) settled(boot, path string) bool {
	if boot == s.boot {
		return true
	}
	synced, err := os.Stat(filepath.Join(s.path, "synced-"+boot))
	if err != nil {
		return false
	}
	info, err := os.Stat(filepath.Join(path, "rec"))
	return err == nil && !info.ModTime().After(synced.ModTime())
}

// markImplicit marks a directory that the layer says nothing of.
func markImplicit(dir *os.File) error {
	err := implicitMark.set(fdPath(dir)+"/.", yes)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

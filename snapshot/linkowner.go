//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

// Links and FIFOs cannot hold extended attributes. Where they cannot be given to their owners either, the file
// "owners" beside the directory fs of a tree says whose they are, in lines of a listing.
const ownersFile = "../owners"

// treeDir returns the FS of the directory fs of a tree.
func treeDir(root *os.File) (Dir, error) {
	d := NewDir(root)
	fd, err := unix.Openat(int(root.Fd()), ownersFile, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("reading the owners of links: %w", err)
	}
	f := os.NewFile(uintptr(fd), "owners")
	defer f.Close()
	d.owners = map[string]ownership.Record{}
	for e, err := range readListing(f) {
		if err != nil {
			return d, fmt.Errorf("reading the owners of links: %w", err)
		}
		d.owners[e.Path] = ownership.Record{UID: e.UID, GID: e.GID}
	}
	return d, nil
}

// writeOwners writes the file for the directory fs that is open at root.
func writeOwners(root *os.File, entries []*Entry) error {
	if len(entries) == 0 {
		return nil
	}
	var b []byte
	for _, e := range entries {
		b = appendListing(b, e)
	}
	fd, err := unix.Openat(int(root.Fd()), ownersFile, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the owners of links: %w", err)
	}
	f := os.NewFile(uintptr(fd), "owners")
	_, err = f.Write(b)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// holdsRecord reports whether the file of e can record its owner itself.
func (e *Entry) holdsRecord() bool { return e.Kind == Regular || e.Kind == Directory }

// RecordOwners asks recorded whose the links and FIFOs are that were made in the tree, and remembers that.
func (a *Active) RecordOwners(ctx context.Context, recorded func(path string) (ownership.Record, bool)) error {
	var owned []*Entry
	for e, err := range cancellable(ctx, Walk(NewDir(a.upper), "")) {
		if err != nil {
			return err
		}
		if e.holdsRecord() || e.hides() {
			continue
		}
		if r, ok := recorded(e.Path); ok {
			e.UID, e.GID = r.UID, r.GID
			owned = append(owned, e)
		}
	}
	return writeOwners(a.upper, owned)
}

// openFS returns what open opens as the FS of a tree.
func openFS(open func() (*os.File, error)) (FS, error) {
	dir, err := open()
	if err != nil {
		return nil, err
	}
	return treeDir(dir)
}

package snapshot

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
)

// Diff streams what upper, the directory into which overlayfs or we wrote the changes, adds to the tree
// below: the layer. It does not depend on how the changes came there:
//
//   - what overlayfs copied up but nobody changed is left out, and so are directories in which
//     nothing remains;
//   - a directory that replaced another is told as removals of what the other had, which every reader
//     of layers understands, and not as opaque;
//   - removals of what is not there are left out.
func Diff(upper FS, below *View) Entries {
	return func(yield func(*Entry, error) bool) {
		d := &differ{upper: upper, below: below, links: linker{}, yield: yield}
		if err := d.root(); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// errStopped says that nobody wants more entries.
var errStopped = errors.New("stopped")

type differ struct {
	upper FS
	below *View
	// pending are directories above the current one that have not been told yet.
	pending []*Entry
	links   linker
	yield   func(*Entry, error) bool
}

// root tells what changed in the whole tree. The root itself is told only if more than its time changed.
func (d *differ) root() error {
	now, err := d.upper.Lstat("")
	if err != nil {
		return err
	}
	old, err := d.below.Lstat("")
	if err != nil {
		return err
	}
	aged := *now.shown()
	aged.ModTime = old.ModTime
	if !sameMetadata(old, &aged) {
		if err := d.tell(now.shown()); err != nil {
			return err
		}
	}
	return d.children(now, true)
}

// dir tells what changed in the directory e. There is something below it unless visible is false.
func (d *differ) dir(e *Entry, visible bool) error {
	var old *Entry
	if visible {
		var err error
		if old, err = d.old(e.Path); err != nil {
			return err
		}
	}
	told := len(d.pending)
	d.pending = append(d.pending, e.shown())
	defer func() { d.pending = d.pending[:told] }()
	if old == nil || old.Kind != Directory || !sameMetadata(old, e) {
		if err := d.tellPending(); err != nil {
			return err
		}
	}
	merged := old != nil && old.Kind == Directory
	if merged && e.Opaque {
		if err := d.removals(e.Path); err != nil {
			return err
		}
		merged = false
	}
	return d.children(e, merged)
}

// children tells what changed in what the directory e holds.
func (d *differ) children(e *Entry, visible bool) error {
	children, err := d.upper.ReadDir(e.Path)
	if err != nil {
		return err
	}
	for _, c := range children {
		if err := d.child(c, visible); err != nil {
			return err
		}
	}
	return nil
}

// old returns what is at name below, nil if nothing is.
func (d *differ) old(name string) (*Entry, error) {
	e, err := d.below.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return e, err
}

func (d *differ) child(e *Entry, visible bool) error {
	if e.Kind == Directory {
		return d.dir(e, visible)
	}
	var old *Entry
	if visible {
		var err error
		if old, err = d.old(e.Path); err != nil {
			return err
		}
	}
	if e.hides() {
		if old == nil {
			return nil
		}
		return d.tell(&Entry{Path: e.Path, Kind: Whiteout})
	}
	// A file with several names is told even if it is as it was: one of the names may be new.
	if old != nil && e.inode == (inode{}) {
		same, err := sameFile(old, e)
		if err != nil || same {
			return err
		}
	}
	return d.tell(e)
}

// removals tells that everything is gone that is in the directory name below and not above.
func (d *differ) removals(name string) error {
	children, err := d.below.ReadDir(name)
	if err != nil {
		return err
	}
	for _, c := range children {
		_, err := d.upper.Lstat(c.Path)
		if errors.Is(err, fs.ErrNotExist) {
			err = d.tell(&Entry{Path: c.Path, Kind: Whiteout})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) tell(e *Entry) error {
	if err := d.tellPending(); err != nil {
		return err
	}
	if !d.yield(d.links.link(e), nil) {
		return errStopped
	}
	return nil
}

func (d *differ) tellPending() error {
	for _, e := range d.pending {
		if e == nil {
			continue
		}
		if !d.yield(e, nil) {
			return errStopped
		}
	}
	for i := range d.pending {
		d.pending[i] = nil
	}
	return nil
}

func sameMetadata(a, b *Entry) bool {
	return a.Kind == b.Kind && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		a.ModTime.Equal(b.ModTime) && a.Link == b.Link && a.Size == b.Size &&
		a.Major == b.Major && a.Minor == b.Minor && maps.Equal(a.Xattrs, b.Xattrs)
}

// sameFile reports whether nothing of a file changed. Equal times do not say that its content did not.
func sameFile(a, b *Entry) (bool, error) {
	if !sameMetadata(a, b) {
		return false, nil
	}
	if a.Kind != Regular || a.Size == 0 {
		return true, nil
	}
	return sameContent(a, b)
}

func sameContent(a, b *Entry) (bool, error) {
	ra, err := a.Open()
	if err != nil {
		return false, err
	}
	defer ra.Close()
	rb, err := b.Open()
	if err != nil {
		return false, err
	}
	defer rb.Close()
	ba, putA := buffer()
	defer putA()
	bb, putB := buffer()
	defer putB()
	for {
		na, ea := io.ReadFull(ra, ba)
		nb, eb := io.ReadFull(rb, bb)
		if !bytes.Equal(ba[:na], bb[:nb]) {
			return false, nil
		}
		switch {
		case isEnd(ea) && isEnd(eb):
			return true, nil
		case ea != nil:
			return false, ea
		case eb != nil:
			return false, eb
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

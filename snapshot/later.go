package snapshot

import "sync"

// Later returns the tree that open gives, which is opened when it is first looked at.
func Later(open func() (FS, error)) Delayed { return sync.OnceValues(open) }

// Delayed is a tree that is opened when it is first looked at.
type Delayed func() (FS, error)

// Lstat implements FS.
func (d Delayed) Lstat(name string) (*Entry, error) {
	fsys, err := d()
	if err != nil {
		return nil, err
	}
	return fsys.Lstat(name)
}

// ReadDir implements FS.
func (d Delayed) ReadDir(name string) ([]*Entry, error) {
	fsys, err := d()
	if err != nil {
		return nil, err
	}
	return fsys.ReadDir(name)
}

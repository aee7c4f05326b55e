//go:build linux

package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Driver is a way to make the trees of layers writable. The layers that come out are the same with each.
type Driver string

// The drivers.
const (
	// DriverAuto is DriverOverlay where that works, else DriverPlain.
	DriverAuto Driver = "auto"
	// DriverOverlay lets overlayfs merge the directories of the layers: a tree costs one mount.
	DriverOverlay Driver = "overlay"
	// DriverPlain copies the layers into one directory. It needs no mounts and works on every file system.
	DriverPlain Driver = "plain"
)

// Drivers lists all drivers.
func Drivers() []Driver { return []Driver{DriverAuto, DriverOverlay, DriverPlain} }

// ParseDriver returns the driver called name.
func ParseDriver(name string) (Driver, error) {
	if d := Driver(name); slices.Contains(Drivers(), d) {
		return d, nil
	}
	return "", fmt.Errorf("unknown snapshotter %q: it is one of %s, %s, %s", name, DriverAuto, DriverOverlay, DriverPlain)
}

// Choice is the driver that a store uses.
type Choice struct {
	// Driver is DriverOverlay or DriverPlain.
	Driver Driver `json:"driver"`
	// Why says why it is not DriverOverlay, "" if it is.
	Why string `json:"why,omitempty"`
}

// Driver finds out, once, which driver the store uses.
func (s *Store) Driver() (Choice, error) {
	d, err := s.driver()
	return d.choice, err
}

// driver makes trees writable.
type driver interface {
	// open makes a tree writable.
	open(p place) (workspace, error)
}

// place is what a driver makes a tree from, and where.
type place struct {
	// dir is a directory for this tree alone.
	dir string
	// upper is an open directory in dir, empty but for the metadata of the tree's root, which is to hold
	// what is changed: as overlayfs writes it there.
	upper *os.File
	// bottom, if not nil, is a directory that shows where no layer has or hides anything. A driver may do without.
	bottom *os.File
	// lower are the unpacked layers, lowest first; below is the same to be read.
	lower []*os.File
	below *View
}

// workspace is a tree while it is written to. It ends with save or discard.
type workspace interface {
	root() *os.File
	// attach gives the tree a path in this process's file system.
	attach() error
	// save sees to it that upper holds what was changed.
	save() error
	discard()
}

// chosenDriver is a driver and how it came to be chosen.
type chosenDriver struct {
	driver
	choice Choice
}

// chooseDriver finds out how trees can be made writable here.
func (s *Store) chooseDriver(wanted Driver) (chosenDriver, error) {
	if wanted == DriverPlain {
		return chosenDriver{s.plain, Choice{DriverPlain, "it was asked for"}}, nil
	}
	err := s.probeOverlay()
	if err == nil {
		return chosenDriver{overlay{}, Choice{Driver: DriverOverlay}}, nil
	}
	if wanted == DriverOverlay {
		return chosenDriver{}, fmt.Errorf("the overlay snapshotter does not work with the store %s: %w", s.path, err)
	}
	return chosenDriver{s.plain, Choice{DriverPlain, err.Error()}}, nil
}

// probeOverlay does with overlayfs what commands do.
func (s *Store) probeOverlay() (err error) {
	dir := s.temporary("probe")
	defer func() { _ = os.RemoveAll(dir) }()
	upper, err := makeTree(dir)
	if err != nil {
		return err
	}
	defer upper.Close()
	if err := os.MkdirAll(filepath.Join(dir, "lower", "replaced", "gone"), 0o700); err != nil {
		return err
	}
	lower, err := openDir(filepath.Join(dir, "lower"))
	if err != nil {
		return err
	}
	defer lower.Close()
	w, err := overlay{}.open(place{dir: dir, upper: upper, lower: []*os.File{lower}})
	if err != nil {
		return err
	}
	defer w.discard()
	at := fdPath(w.root())
	return errors.Join(
		os.WriteFile(at+"/file", []byte("x"), 0o600),
		os.RemoveAll(at+"/replaced"), // leaves a whiteout
		os.Mkdir(at+"/replaced", 0o700),
		os.Rename(at+"/replaced", at+"/renamed"),
	)
}

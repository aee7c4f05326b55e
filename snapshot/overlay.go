//go:build linux

package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// overlay is the driver that lets overlayfs merge the layers.
type overlay struct{}

func (overlay) mount(tree string, upper *os.File, lower []*os.File) (*os.File, error) {
	work, err := makeDir(tree, "work")
	if err != nil {
		return nil, err
	}
	defer work.Close()
	if len(lower) == 0 { // overlayfs wants one
		empty, err := makeDir(tree, "empty")
		if err != nil {
			return nil, err
		}
		defer empty.Close()
		lower = []*os.File{empty}
	}
	ctx, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("opening overlayfs: %w", err)
	}
	defer closeFD(ctx)
	options := [][2]string{}
	for _, l := range slices.Backward(lower) {
		options = append(options, [2]string{"lowerdir+", fdPath(l)}) // since Linux 6.8; the first is the topmost
	}
	options = append(options, [2]string{"upperdir", fdPath(upper)}, [2]string{"workdir", fdPath(work)})
	for _, o := range options {
		if err := unix.FsconfigSetString(ctx, o[0], o[1]); err != nil {
			return nil, fmt.Errorf("configuring overlayfs: %s=%s: %w", o[0], o[1], err)
		}
	}
	// userxattr: the marks of overlayfs are where an ordinary user can set them. volatile: nothing
	// is synced; the store does that (see Store.settled).
	for _, flag := range []string{"userxattr", "volatile"} {
		if err := unix.FsconfigSetFlag(ctx, flag); err != nil {
			return nil, fmt.Errorf("configuring overlayfs: %s: %w", flag, err)
		}
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return nil, fmt.Errorf("mounting overlayfs: %w", err)
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, fmt.Errorf("mounting overlayfs: %w", err)
	}
	return os.NewFile(uintptr(fd), "overlay"), nil
}

// makeDir makes a directory beside the files of a tree.
func makeDir(tree, name string) (*os.File, error) {
	if err := os.Mkdir(filepath.Join(tree, name), 0o700); err != nil {
		return nil, err
	}
	return openDir(filepath.Join(tree, name))
}

func closeFD(fd int) { _ = unix.Close(fd) }

// chooseDriver finds out how trees can be made writable here.
func (s *Store) chooseDriver() (driver, error) {
	tree := s.temporary("probe")
	defer os.RemoveAll(tree)
	upper, err := makeTree(tree)
	if err != nil {
		return nil, err
	}
	defer upper.Close()
	root, err := overlay{}.mount(tree, upper, nil)
	if err != nil {
		return nil, err
	}
	return overlay{}, root.Close()
}

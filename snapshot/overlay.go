//go:build linux

package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// overlay is the driver that lets overlayfs merge the layers.
type overlay struct{}

func (overlay) open(p place) (workspace, error) { //nolint:ireturn // as driver has it
	lower, err := distinct(p.lower)
	if err != nil {
		return nil, err
	}
	work, err := makeDir(p.dir, "work")
	if err != nil {
		return nil, err
	}
	defer work.Close()
	if p.bottom != nil {
		lower = slices.Insert(lower, 0, p.bottom)
	}
	if len(lower) == 0 { // overlayfs wants one
		empty, err := makeDir(p.dir, "empty")
		if err != nil {
			return nil, err
		}
		defer empty.Close()
		lower = []*os.File{empty}
	}
	mounted, err := mountOverlay(p.upper, work, lower)
	if err != nil {
		return nil, err
	}
	return &overlayTree{mount: mounted, dir: p.dir}, nil
}

// mountOverlay returns the root of a mount that is attached nowhere.
func mountOverlay(upper, work *os.File, lower []*os.File) (*os.File, error) {
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
			return nil, fmt.Errorf("configuring overlayfs: %s: %w", o[0], explained(ctx, err))
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
		return nil, fmt.Errorf("mounting overlayfs: %w", explained(ctx, err))
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, fmt.Errorf("mounting overlayfs: %w", err)
	}
	return os.NewFile(uintptr(fd), "overlay"), nil
}

// explained adds to err what the kernel says of it: a message to be read from what Fsopen returned.
func explained(ctx int, err error) error {
	b := make([]byte, 512)
	n, reading := unix.Read(ctx, b)
	if reading != nil {
		return err
	}
	_, message, _ := strings.Cut(strings.TrimSpace(string(b[:n])), " ") // the first word is its level
	return fmt.Errorf("%w (%s)", err, message)
}

// overlayTree is a mounted tree.
type overlayTree struct {
	mount *os.File
	dir   string
	// attached is where the tree is mounted, "" if nowhere.
	attached string
}

func (t *overlayTree) root() *os.File { return t.mount }

func (t *overlayTree) attach() error {
	target, err := makeDir(t.dir, "merged")
	if err != nil {
		return err
	}
	defer target.Close()
	err = unix.MoveMount(int(t.mount.Fd()), "", int(target.Fd()), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mounting a tree: %w", err)
	}
	t.attached = filepath.Join(t.dir, "merged")
	return nil
}

// save has nothing to do: what is written lies in the upper directory.
func (t *overlayTree) save() error {
	t.discard()
	return nil
}

func (t *overlayTree) discard() {
	if t.attached != "" {
		_ = unix.Unmount(t.attached, unix.MNT_DETACH)
	}
	t.mount.Close()
}

// makeDir makes a directory beside the files of a tree.
func makeDir(tree, name string) (*os.File, error) {
	if err := os.Mkdir(filepath.Join(tree, name), 0o700); err != nil {
		return nil, err
	}
	return openDir(filepath.Join(tree, name))
}

func closeFD(fd int) { _ = unix.Close(fd) }

// distinct drops all but the topmost of equal directories, which overlayfs refuses. Two steps that did the
// same give one; what the lower one shows or hides, the upper one shows or hides too.
func distinct(lower []*os.File) ([]*os.File, error) {
	seen := make(map[inode]bool, len(lower))
	kept := make([]*os.File, 0, len(lower))
	for _, l := range slices.Backward(lower) {
		id, err := inodeOf(l)
		if err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			kept = append(kept, l)
		}
	}
	slices.Reverse(kept)
	return kept, nil
}

func inodeOf(f *os.File) (inode, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return inode{dev: st.Dev, ino: st.Ino}, err
}

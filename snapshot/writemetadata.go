//go:build linux

package snapshot

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
	"github.com/seed-298d225e/builder/ownership"
)

// metadata gives the file that was just made what e says of it. The order matters: a change of owner
// clears the setuid bit and the capabilities.
func (w *dirWriter) metadata(e *Entry) error {
	dir, base := int(w.parent.Fd()), path.Base(e.Path)
	mode, err := w.setOwner(base, e)
	if err != nil {
		return err
	}
	if e.Kind != Symlink && (mode != mode&0o777&^umask() || e.Kind == Fifo) {
		if err := unix.Fchmodat(dir, base, mode, 0); err != nil {
			return err
		}
	}
	if len(e.Xattrs) > 0 {
		if err := setXattrs(fdPath(w.parent)+"/"+base, e.Xattrs); err != nil {
			return err
		}
	}
	if err := w.setTime(base, e.ModTime); err != nil {
		return err
	}
	return w.note(e)
}

// note notes e, which was just written.
func (w *dirWriter) note(e *Entry) error {
	if w.inventory == nil {
		return nil
	}
	noted := *e
	if e.Kind == Regular {
		noted.crc = &w.crc
	}
	if len(e.Xattrs) > 0 { // the file system may not hold all, and a list of access rights changes the mode
		found, err := NewDir(w.root).stat(w.parent, path.Base(e.Path), e.Path)
		if err != nil {
			return err
		}
		noted.Mode, noted.Xattrs = found.Mode, found.Xattrs
	}
	w.inventory.add(&noted)
	return nil
}

// setOwner sets the owner of a new file, or records it where it cannot be set, and returns the mode that
// the file should then have.
func (w *dirWriter) setOwner(base string, e *Entry) (mode uint32, err error) {
	if w.owners.can(e.UID, e.GID) {
		if e.UID == 0 && e.GID == 0 && os.Geteuid() == 0 {
			return e.Mode, nil // as it was made
		}
		return e.Mode, unix.Fchownat(int(w.parent.Fd()), base, int(e.UID), int(e.GID), unix.AT_SYMLINK_NOFOLLOW)
	}
	if !e.holdsRecord() {
		w.owned = append(w.owned, e)
		return e.Mode, nil
	}
	return e.Mode, ownership.Set(fdPath(w.parent)+"/"+base, ownership.Record{UID: e.UID, GID: e.GID})
}

func (w *dirWriter) setTime(base string, t time.Time) error {
	ts := timespec(t)
	return unix.UtimesNanoAt(int(w.parent.Fd()), base, ts[:], unix.AT_SYMLINK_NOFOLLOW)
}

// timespec returns the argument of utimensat(2): no access time of its own, the modification time t.
func timespec(t time.Time) [2]unix.Timespec {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		ts = unix.Timespec{}
	}
	return [2]unix.Timespec{ts, ts}
}

// finish gives the directories their metadata, the deepest first.
func (w *dirWriter) finish() error {
	names := make([]string, 0, len(w.dirs))
	for name := range w.dirs {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Reverse(names)
	for _, name := range names {
		if err := w.finishDir(name, w.dirs[name]); err != nil {
			return fmt.Errorf("writing the directory /%s: %w", name, err)
		}
	}
	return nil
}

func (w *dirWriter) finishDir(name string, e *Entry) error {
	dir, err := inroot.OpenReal(w.root, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	if e.Opaque {
		if err := opaqueMark.set(fdPath(dir)+"/.", yes); err != nil {
			return err
		}
	}
	if e.onlyMarker() {
		return nil
	}
	if err := setDirMetadata(dir, e, w.owners); err != nil {
		return err
	}
	if len(e.Xattrs) > 0 {
		return w.inventory.addFound(w.root, name)
	}
	w.inventory.add(e)
	return nil
}

// setDirMetadata gives an open directory what e says of it.
func setDirMetadata(dir *os.File, e *Entry, owners Owners) error {
	fd := int(dir.Fd())
	if owners.can(e.UID, e.GID) {
		if err := unix.Fchown(fd, int(e.UID), int(e.GID)); err != nil {
			return err
		}
	} else {
		if err := ownership.Set(fdPath(dir)+"/.", ownership.Record{UID: e.UID, GID: e.GID}); err != nil {
			return err
		}
	}
	if err := setXattrs(fdPath(dir)+"/.", e.Xattrs); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, e.Mode); err != nil {
		return err
	}
	ts := timespec(e.ModTime)
	return unix.UtimesNanoAt(unix.AT_FDCWD, fdPath(dir)+"/.", ts[:], 0)
}

// umask is what the process leaves out of the modes of new files.
var umask = sync.OnceValue(func() uint32 { //nolint:gochecknoglobals // a fact about the process
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		if _, after, ok := strings.Cut(string(status), "\nUmask:\t"); ok {
			var mask uint32
			if _, err := fmt.Sscanf(after, "%o", &mask); err == nil {
				return mask
			}
		}
	}
	return 0o777
})

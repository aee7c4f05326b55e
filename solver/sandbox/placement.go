//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
	"github.com/seed-298d225e/builder/solver/sandbox/supervisor"
)

// placement puts things into a root directory where nothing can be mounted there, and takes them back. What
// was in a place before waits aside, in a directory beside the root. Nobody else uses the tree meanwhile.
type placement struct {
	root *root
	// aside is the directory for what waits and what is made.
	aside string
	made  int
	// undoing takes back what was placed, last first.
	undoing []func() error
	// secrets are files whose content the supervisor gives, because it must not be on a disk.
	secrets []supervisor.Memory
}

// newPlacement returns a placement in r, a plain directory.
func newPlacement(r *root) (*placement, error) {
	at, err := pathOf(r.dir)
	if err != nil {
		return nil, err
	}
	aside, err := os.MkdirTemp(filepath.Dir(at), "aside-")
	if err != nil {
		return nil, err
	}
	return &placement{root: r, aside: aside}, nil
}

// pathOf returns the path of what is open at f, which must be part of the file system that this process sees:
// that of a mount which is attached nowhere would be one of the machine's own.
func pathOf(f *os.File) (string, error) {
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return "", err
	}
	var there, here unix.Stat_t
	if err := unix.Lstat(at, &there); err != nil {
		return "", err
	}
	if err := unix.Fstat(int(f.Fd()), &here); err != nil {
		return "", err
	}
	if there.Dev != here.Dev || there.Ino != here.Ino {
		return "", fmt.Errorf("%s is not where it seems to be", at)
	}
	return at, nil
}

// undo puts everything back.
func (p *placement) undo() error {
	var errs []error
	for _, f := range slices.Backward(p.undoing) {
		errs = append(errs, f())
	}
	p.undoing = nil
	for _, s := range p.secrets {
		s.Content.Close()
	}
	return errors.Join(append(errs, os.RemoveAll(p.aside))...)
}

// fresh returns a path aside that is not in use.
func (p *placement) fresh() string {
	p.made++
	return filepath.Join(p.aside, strconv.Itoa(p.made))
}

// furnish places /dev, /proc, /sys and the mounts of s.
func (p *placement) furnish(s *Spec) error {
	for _, f := range []struct {
		name  string
		build func(dir string) error
	}{
		{"dev", buildDev}, {"proc", buildProc}, {"sys", buildSys},
	} {
		target, err := p.root.directory(f.name)
		if err != nil {
			return err
		}
		target.Close()
		dir := p.fresh()
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := f.build(dir); err != nil {
			return fmt.Errorf("making /%s: %w", f.name, err)
		}
		if err := p.put(dir, f.name, os.RemoveAll); err != nil {
			return fmt.Errorf("placing /%s: %w", f.name, err)
		}
	}
	for _, m := range s.Mounts {
		if err := p.mount(m); err != nil {
			return &StartError{What: "mounting " + m.Target, Err: err}
		}
	}
	return nil
}

// mount places what m says.
func (p *placement) mount(m Mount) error {
	if m.Source == nil {
		return p.empty(m)
	}
	info, err := m.Source.Stat()
	if err != nil {
		return err
	}
	target, err := p.root.target(m.Target, info.IsDir())
	if err != nil {
		return err
	}
	there, err := target.Stat()
	target.Close()
	switch {
	case err != nil:
		return err
	case there.IsDir() != info.IsDir():
		return errors.New("one of source and target is a directory and the other is not")
	}
	source, err := pathOf(m.Source)
	if err != nil {
		return err
	}
	switch {
	case m.Secret:
		return p.secret(m, source)
	case info.Mode().IsRegular():
		return p.file(m, source)
	}
	return p.put(source, m.Target, func(at string) error { return giveBack(at, source, info) })
}

// giveBack returns what was placed to where it came from. A command may have removed it.
func giveBack(at, source string, info fs.FileInfo) error {
	err := os.Rename(at, source)
	if errors.Is(err, fs.ErrNotExist) && info.IsDir() {
		return os.Mkdir(source, info.Mode().Perm())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// empty places an empty directory that goes when the command has ended.
func (p *placement) empty(m Mount) error {
	target, err := p.root.target(m.Target, true)
	if err != nil {
		return err
	}
	target.Close()
	dir := p.fresh()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Chmod(dir, m.Mode); err != nil {
		return err
	}
	return p.put(dir, m.Target, os.RemoveAll)
}

// file places a copy of a file.
func (p *placement) file(m Mount, source string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()
	return p.copy(m, from, func(to *os.File) error {
		_, err := io.Copy(to, from)
		return err
	})
}

// secret places a file that is as long as the secret and empty: the supervisor opens another instead.
func (p *placement) secret(m Mount, source string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	err = p.copy(m, from, func(to *os.File) error {
		var made unix.Stat_t
		if err := unix.Fstat(int(to.Fd()), &made); err != nil {
			return err
		}
		p.secrets = append(p.secrets, supervisor.Memory{Device: made.Dev, Inode: made.Ino, Content: from})
		info, err := from.Stat()
		if err != nil {
			return err
		}
		return to.Truncate(info.Size())
	})
	if err != nil {
		from.Close()
	}
	return err
}

// copy places a file with the owner and mode of another, which write fills.
func (p *placement) copy(m Mount, of *os.File, write func(to *os.File) error) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(of.Fd()), &st); err != nil {
		return err
	}
	name := p.fresh()
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := write(to); err != nil {
		return err
	}
	if err := to.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(int(to.Fd()), st.Mode&0o7777); err != nil {
		return err
	}
	return p.put(name, m.Target, os.RemoveAll)
}

// put moves what is at the path from to a place in the root, which is there. When it is taken back, remove gets
// its path and what was there before returns.
func (p *placement) put(from, target string, remove func(at string) error) error {
	there, err := inroot.Open(p.root.dir, target, unix.O_PATH)
	if err != nil {
		return err
	}
	at, err := pathOf(there)
	there.Close()
	if err != nil {
		return err
	}
	var parent unix.Stat_t
	if err := unix.Stat(filepath.Dir(at), &parent); err != nil {
		return err
	}
	before := p.fresh()
	if err := os.Rename(at, before); err != nil {
		return err
	}
	if err := os.Rename(from, at); err != nil {
		return errors.Join(err, os.Rename(before, at))
	}
	times := []unix.Timespec{parent.Atim, parent.Mtim}
	p.undoing = append(p.undoing, func() error {
		err := remove(at)
		if back := os.Rename(before, at); back != nil && err == nil {
			err = fmt.Errorf("taking back what was placed at %s: %w", target, back)
		}
		_ = unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Dir(at), times, unix.AT_SYMLINK_NOFOLLOW)
		return err
	})
	return nil
}

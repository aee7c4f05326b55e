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

	"github.com/seed-298d225e/builder/solver/sandbox/supervisor"
)

// placement puts things into a root directory where nothing can be mounted there, and takes them back. What
// was in a place before waits aside, in a directory beside the root. Nobody else uses the tree meanwhile, but
// between the two the command has made of it what it wanted.
type placement struct {
	root *root
	// aside is the directory for what waits and what is made.
	aside string
	made  int
	// undoing takes back what was placed, last first.
	undoing []func() error
	// mounts are what was put in place of mounts.
	mounts []supervisor.Mount
	// protect: one that the instruction asks for is read-only.
	protect bool
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
	for _, m := range p.mounts {
		m.At.Close()
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
		if err := p.put(dir, f.name, nil); err != nil {
			return fmt.Errorf("placing /%s: %w", f.name, err)
		}
	}
	for _, m := range s.Mounts {
		if err := p.mount(m); err != nil {
			return &StartError{What: "mounting " + m.Target, Err: err}
		}
		if err := p.note(m); err != nil {
			return &StartError{What: "mounting " + m.Target, Err: err}
		}
	}
	return nil
}

// note notes what was placed for m. What a command does to files of builder's own is dropped, not refused, so that
// only the steps that ask for mounts pay for that.
func (p *placement) note(m Mount) error {
	at, err := p.root.open(m.Target, 0)
	if err != nil {
		return err
	}
	p.mounts = append(p.mounts, supervisor.Mount{Target: m.Target, At: at, ReadOnly: m.ReadOnly})
	p.protect = p.protect || m.ReadOnly && !m.Furniture
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
	return p.put(source, m.Target, func(s *spot) error { return giveBack(s, source, info) })
}

// giveBack returns what was placed at s to where it came from. If a command has removed it, or put something else
// in its place, an empty directory takes its place.
func giveBack(s *spot, source string, info fs.FileInfo) error {
	if s.occupied() {
		return s.moveTo(source)
	}
	if info.IsDir() {
		return os.Mkdir(source, info.Mode().Perm())
	}
	return nil
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
	return p.put(dir, m.Target, nil)
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
	return p.put(name, m.Target, nil)
}

// put moves what is at the path from to a place in the root, which is there, and notes to take it back: giveBack,
// if there is one, gets what is still where it was placed. Neither moves by a path in the root, where the command
// may have put links that lead out.
func (p *placement) put(from, target string, giveBack func(s *spot) error) error {
	s, err := p.spot(target)
	if err != nil {
		return err
	}
	before := p.fresh()
	if err := s.moveTo(before); err != nil {
		s.close()
		return err
	}
	if err := s.take(from); err != nil {
		err = errors.Join(err, unix.Renameat(unix.AT_FDCWD, before, int(s.parent.Fd()), s.name))
		s.close()
		return err
	}
	p.undoing = append(p.undoing, func() error {
		defer s.close()
		if err := p.takeBack(s, before, giveBack); err != nil {
			return fmt.Errorf("taking back what was placed at %s: %w", target, err)
		}
		return nil
	})
	return nil
}

// takeBack empties s and puts there what was there before, which waits at the path before.
func (p *placement) takeBack(s *spot, before string, giveBack func(s *spot) error) error {
	if giveBack != nil {
		if err := giveBack(s); err != nil {
			return err
		}
	}
	if err := s.moveTo(p.fresh()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := unix.Renameat(unix.AT_FDCWD, before, int(s.parent.Fd()), s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the command has removed the directory around it
	}
	s.restoreTimes()
	return err
}

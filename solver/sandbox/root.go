//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// root is the root directory of a sandbox. Every path below it is resolved by the kernel with it as /,
// so that no link in it can lead out, and without the magic links of /proc.
type root struct {
	dir *os.File
	// device is the file system that dir is on.
	device uint64
	// stubs are the files and directories that were made to be mounted upon, in order.
	stubs []stub
}

// stub is a mount point that is to vanish with its mount.
type stub struct {
	parent *os.File
	name   string
	mode   uint32
	// inode tells the stub from whatever the command may have put in its place.
	inode uint64
	// before are the times of the parent until the stub was made, which gave it the time made.
	before [2]unix.Timespec
	made   unix.Timespec
}

// newRoot returns the root that is open at dir.
func newRoot(dir *os.File) (*root, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return nil, err
	}
	return &root{dir: dir, device: st.Dev}, nil
}

// open opens a path in the root for reference only.
func (r *root) open(name string, flags int) (*os.File, error) {
	return inroot.Open(r.dir, name, unix.O_PATH|flags)
}

// target opens the place of a mount and makes it, and its parents, if there is none.
func (r *root) target(name string, dir bool) (*os.File, error) {
	return r.targetBelow(name, dir, 0)
}

func (r *root) targetBelow(name string, dir bool, links int) (*os.File, error) {
	f, err := r.open(name, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if dir {
		return inroot.Directory(r.dir, name, r.mkdir)
	}
	parent, err := inroot.Directory(r.dir, path.Dir(name), r.mkdir)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	base := path.Base(name)
	if to, err := inroot.Readlink(parent, base); err == nil && links < 40 { // to nowhere: make what it leads to
		return r.targetBelow(inroot.Target(name, to), dir, links+1)
	}
	if err := r.makeStub(parent, base, unix.S_IFREG|0o644); err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	return inroot.OpenReal(parent, base, unix.O_PATH)
}

// mkdir makes a directory to be mounted upon, or to hold one.
func (r *root) mkdir(parent *os.File, name string) error {
	return r.makeStub(parent, name, unix.S_IFDIR|0o755)
}

// makeStub makes a mount point called name in parent.
func (r *root) makeStub(parent *os.File, name string, mode uint32) error {
	var before, made, after unix.Stat_t
	if err := unix.Fstat(int(parent.Fd()), &before); err != nil {
		return err
	}
	var err error
	if mode&unix.S_IFMT == unix.S_IFDIR {
		err = unix.Mkdirat(int(parent.Fd()), name, mode&0o7777)
	} else {
		err = unix.Mknodat(int(parent.Fd()), name, mode, 0)
	}
	if err != nil {
		return err
	}
	if err := unix.Fstatat(int(parent.Fd()), name, &made, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if before.Dev != r.device {
		return nil // in a cache or another mount: somebody else may be using the mount point too
	}
	held, err := inroot.OpenReal(parent, ".", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	if err := unix.Fstat(int(parent.Fd()), &after); err != nil {
		held.Close()
		return err
	}
	r.stubs = append(r.stubs, stub{
		parent: held, name: name, mode: mode, inode: made.Ino,
		before: [2]unix.Timespec{before.Atim, before.Mtim}, made: after.Mtim,
	})
	return nil
}

// removeStubs removes the mount points that were made, except those that the command put something
// else in place of or into, and gives their parents the times that they would have without.
func (r *root) removeStubs() (err error) {
	for _, s := range slices.Backward(r.stubs) {
		if err == nil {
			err = s.restore()
		}
		s.parent.Close()
	}
	r.stubs = nil
	return err
}

// restore makes the directory of the stub what it would be if there had been none.
func (s *stub) restore() error {
	if err := s.free(); err != nil {
		return err
	}
	times, err := s.parentTimes()
	if err != nil {
		return err
	}
	removed, err := s.remove()
	if err != nil {
		return fmt.Errorf("removing the mount point %s: %w", s.name, err)
	}
	if removed {
		return unix.UtimesNanoAt(int(s.parent.Fd()), "", times[:], unix.AT_EMPTY_PATH)
	}
	return nil
}

// free waits until nothing is mounted upon the stub. That is so when the mount namespace of the command has ended, which
// it does late if a program of the machine, one that watches processes say, is just looking into it.
func (s *stub) free() error {
	if !s.mounted() {
		return nil
	}
	tick := time.NewTicker(10 * time.Millisecond) // the kernel tells nobody
	defer tick.Stop()
	for end := time.After(grace); s.mounted(); {
		select {
		case <-tick.C:
		case <-end:
			return fmt.Errorf("removing the mount point %s: another process keeps the mount namespace of the command", s.name)
		}
	}
	return nil
}

// mounted reports whether something is mounted upon the stub.
func (s *stub) mounted() bool {
	var st unix.Statx_t
	err := unix.Statx(int(s.parent.Fd()), s.name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// parentTimes returns the times that the directory of the stub would have if there had been none: those
// from before it was made, unless the directory was changed since.
func (s *stub) parentTimes() ([2]unix.Timespec, error) {
	var now unix.Stat_t
	if err := unix.Fstat(int(s.parent.Fd()), &now); err != nil {
		return s.before, err
	}
	if now.Mtim != s.made {
		return [2]unix.Timespec{now.Atim, now.Mtim}, nil
	}
	return s.before, nil
}

// remove removes the stub if it is still the one that was made, and as empty.
func (s *stub) remove() (removed bool, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(int(s.parent.Fd()), s.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, err
	case st.Ino != s.inode:
		return false, nil
	}
	flags := 0
	if s.mode&unix.S_IFMT == unix.S_IFDIR {
		flags = unix.AT_REMOVEDIR
	} else if st.Size > 0 {
		return false, nil
	}
	err = unix.Unlinkat(int(s.parent.Fd()), s.name, flags)
	if errors.Is(err, unix.ENOTEMPTY) {
		return false, nil
	}
	return err == nil, err
}

// directory opens one of the directories that a root must really have.
func (r *root) directory(name string) (*os.File, error) {
	f, err := inroot.OpenReal(r.dir, name, unix.O_PATH|unix.O_DIRECTORY)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r.target(name, true)
	case errors.Is(err, unix.ELOOP):
		return nil, &StartError{What: "mounting /" + name, Err: fmt.Errorf("the image has /%s as a symbolic link", name)}
	case errors.Is(err, unix.ENOTDIR):
		return nil, &StartError{What: "mounting /" + name, Err: fmt.Errorf("the image has /%s as something other than a directory", name)}
	}
	return f, err
}

// workDir opens the working directory and makes it if it is missing; unlike a stub it stays.
func (r *root) workDir(name string) (*os.File, error) { return inroot.Directory(r.dir, name, nil) }

// program finds the file to execute for args[0] as a shell would, and returns its path in the root.
func (r *root) program(name string, env []string, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join(dir, name)
		}
		return name, r.executable(name)
	}
	search := ""
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			search = v
		}
	}
	for d := range strings.SplitSeq(search, ":") {
		if d == "" {
			d = "."
		}
		if !path.IsAbs(d) {
			d = path.Join(dir, d)
		}
		if candidate := path.Join(d, name); r.executable(candidate) == nil {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("exec: %q: executable file not found in $PATH", name)
}

func (r *root) executable(name string) error {
	f, err := r.open(name, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return &os.PathError{Op: "exec", Path: name, Err: unix.EISDIR}
	case info.Mode()&0o111 == 0:
		return &os.PathError{Op: "exec", Path: name, Err: unix.EACCES}
	}
	return nil
}

//go:build linux

package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// child is a file in a directory that is open.
type child struct {
	name string
	stat unix.Stat_t
}

func (c *child) isDir() bool { return c.stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// readChildren lists an open directory in the order of names.
func readChildren(dir *os.File) ([]child, error) {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	children := make([]child, len(names))
	for i, n := range names {
		children[i].name = n
		if err := unix.Fstatat(int(dir.Fd()), n, &children[i].stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, &fs.PathError{Op: "stat", Path: n, Err: err}
		}
	}
	return children, nil
}

// surveyor notes how a tree is.
type surveyor struct {
	*crew
	latest atomic.Int64
}

// takeBaseline notes how the tree below root is. If times of files there cannot be trusted every file of it
// is in doubt.
func takeBaseline(root *os.File, trusted bool) (*baseline, error) {
	s := &surveyor{crew: newCrew()}
	s.latest.Store(math.MinInt64)
	base := &baseDir{}
	top, err := reopen(root)
	if err == nil {
		err = s.survey(top, "", base)
	}
	if err := s.wait(err); err != nil {
		return nil, err
	}
	if !trusted {
		return &baseline{root: base, latest: math.MinInt64}, nil
	}
	return &baseline{root: base, latest: s.latest.Load()}, nil
}

// survey notes how the directory dir is, which is at name in the tree, and closes it.
func (s *surveyor) survey(dir *os.File, name string, d *baseDir) error {
	defer dir.Close()
	children, err := s.note(dir, d)
	if err != nil {
		return fmt.Errorf("reading /%s: %w", name, err)
	}
	for i := range d.dirs {
		sub, err := openat(dir, children[i].name)
		if err != nil {
			return err
		}
		below := path.Join(name, sub.Name())
		if err := s.do(func() error { return s.survey(sub, below, d.dirs[i]) }); err != nil {
			return err
		}
	}
	return nil
}

// note notes what is in an open directory and returns its children, directories first, of which d.dirs has
// one each.
func (s *surveyor) note(dir *os.File, d *baseDir) ([]child, error) {
	var self unix.Statx_t
	if err := unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &self); err != nil {
		return nil, err
	}
	d.stamp, d.born = stamp{self.Ino, nanoseconds(self.Ctime)}, nanoseconds(self.Btime)
	s.see(d.ctime)
	children, err := readChildren(dir)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(children, func(a, b child) int { return cmp.Compare(rank(&a), rank(&b)) })
	var before stamp
	for i := range children {
		c := &children[i]
		if c.isDir() {
			d.dirs = append(d.dirs, &baseDir{name: c.name})
			continue
		}
		now := stampOf(&c.stat)
		s.see(now.ctime)
		d.files = appendStamp(d.files, c.name, now, before)
		before = now
	}
	d.files = slices.Clip(d.files)
	return children, nil
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// rank puts directories before all else.
func rank(c *child) int {
	if c.isDir() {
		return 0
	}
	return 1
}

// see takes note of a ctime.
func (s *surveyor) see(ctime int64) {
	for {
		latest := s.latest.Load()
		if ctime <= latest || s.latest.CompareAndSwap(latest, ctime) {
			return
		}
	}
}

// trustsTimes finds out whether a change of a file in dir changes its times even if it is made through a
// mapping: on tmpfs that is so in new kernels only.
func trustsTimes(dir string) (bool, error) {
	f, err := os.CreateTemp(dir, "times-")
	if err != nil {
		return false, err
	}
	defer f.Close()
	defer func() { _ = os.Remove(f.Name()) }()
	if err := errors.Join(f.Truncate(1), unix.Futimes(int(f.Fd()), make([]unix.Timeval, 2))); err != nil {
		return false, err
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, 1, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return false, nil // what cannot be tried is not trusted
	}
	mapped[0] = 1
	if err := unix.Munmap(mapped); err != nil {
		return false, err
	}
	info, err := f.Stat()
	return err == nil && info.ModTime().Unix() != 0, err
}

//go:build linux

package supervisor

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

// file is a file that is open for reference, with what the kernel says of it.
type file struct {
	fd int
	unix.Stat_t
}

// stat takes over fd.
func stat(fd int) (file, error) {
	f := file{fd: fd}
	if err := unix.Fstat(fd, &f.Stat_t); err != nil {
		f.close()
		return file{}, err
	}
	return f, nil
}

func (f *file) close() { _ = unix.Close(f.fd) }

// is reports whether f is of a kind, as modes have it.
func (f *file) is(kind uint32) bool { return f.Mode&unix.S_IFMT == kind }

// same reports whether f and g are the same file.
func (f *file) same(g *file) bool { return f.Dev == g.Dev && f.Ino == g.Ino }

// on reports whether f is on a file system of a kind, see statfs(2).
func (f *file) on(magic int64) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(f.fd, &st) == nil && st.Type == magic
}

// path leads to what is open.
func (f *file) path() string { return "/proc/self/fd/" + strconv.Itoa(f.fd) }

// holds reports whether the file can hold a record itself.
func (f *file) holds() bool {
	return f.is(unix.S_IFREG) || f.is(unix.S_IFDIR)
}

// record returns what is recorded of f; ok is false if its owner is as the kernel says.
func (s *Supervisor) record(f *file) (r ownership.Record, ok bool) {
	if f.holds() {
		// Through the magic link, which is no link of its own, the path leads to the file itself.
		var b [64]byte
		n, err := unix.Getxattr(f.path(), ownership.Attribute, b[:])
		if err != nil {
			return r, false
		}
		return ownership.Parse(string(b[:n]))
	}
	r, ok = s.others[identify(f)]
	return r, ok
}

// setRecord records that f belongs to somebody.
func (s *Supervisor) setRecord(f *file, r ownership.Record) error {
	plain := r == ownership.Record{}
	if !f.holds() {
		if plain {
			delete(s.others, identify(f))
		} else {
			s.others[identify(f)] = r
		}
		return nil
	}
	if plain {
		err := unix.Removexattr(f.path(), ownership.Attribute)
		if err == unix.ENODATA {
			return nil
		}
		return err
	}
	return unix.Setxattr(f.path(), ownership.Attribute, []byte(r.String()), 0)
}

// fileID tells files apart that cannot hold a record; a number that is used again is born at another time.
type fileID struct {
	device, inode uint64
	born          unix.StatxTimestamp
}

func identify(f *file) fileID {
	id := fileID{device: f.Dev, inode: f.Ino}
	var x unix.Statx_t
	if err := unix.Statx(f.fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &x); err == nil {
		id.born = x.Btime
	}
	return id
}

// owned returns whose f is meant to be.
func (s *Supervisor) owned(f *file) ownership.Record {
	if r, ok := s.record(f); ok {
		return r
	}
	return ownership.Record{UID: f.Uid, GID: f.Gid}
}

// Recorded reports whether there are files with a recorded owner that cannot hold the record.
func (s *Supervisor) Recorded() bool { return len(s.others) > 0 }

// Owner returns the recorded owner of the link or special file at a path from the root of the step.
func (s *Supervisor) Owner(name string) (ownership.Record, bool) {
	fd, err := resolve(s.rootFD, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return ownership.Record{}, false
	}
	f, err := stat(fd)
	if err != nil {
		return ownership.Record{}, false
	}
	defer f.close()
	r, ok := s.others[identify(&f)]
	return r, ok
}

//go:build linux

package snapshot

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// baseline is how a tree was: what is needed to find out what was changed since. Whatever changes a file
// changes its ctime, which nobody can set, so that a file with the same number and ctime is the same.
//
// Unless it was changed twice in the time between two ticks of the clock, once before the baseline was
// taken and once after. A change after it has a ctime that is not before the latest in the tree; so
// only files that have just this ctime are in doubt, and are compared byte by byte.
type baseline struct {
	root *baseDir
	// latest is the latest ctime in the tree, in nanoseconds since 1970. If it is before all others, every
	// file is in doubt.
	latest int64
}

// stamp is what a file has in common with itself only as long as nobody changes it.
type stamp struct {
	ino   uint64
	ctime int64
}

func stampOf(st *unix.Stat_t) stamp { return stamp{ino: st.Ino, ctime: st.Ctim.Nano()} }

// baseDir is how one directory was.
type baseDir struct {
	name string
	stamp
	// born is when it was made, in nanoseconds since 1970, or 0: the number alone may be that of a directory
	// that was removed.
	born int64
	// files holds the names and stamps of what is not a directory, see appendStamp: a tree may have a million
	// of them.
	files []byte
	dirs  []*baseDir
}

// succeeds reports whether d is the directory that before was, perhaps changed, and not another of its name. Some
// file systems that are not on disk give a directory new numbers when they like.
func (d *baseDir) succeeds(before *baseDir) bool {
	return d.born == before.born && (d.ino == before.ino || d.ctime == before.ctime)
}

// appendStamp appends the name and stamp of a file: the length of the name, the name, and how the stamp differs
// from the one before.
func appendStamp(b []byte, name string, s, before stamp) []byte {
	b = binary.AppendUvarint(b, uint64(len(name)))
	b = append(b, name...)
	b = binary.AppendVarint(b, int64(s.ino-before.ino))
	return binary.AppendVarint(b, s.ctime-before.ctime)
}

// known is what a baseline says of one name.
type known struct {
	stamp
	// dir is nil if it was not a directory.
	dir *baseDir
}

// known returns what was in a directory, by name.
func (d *baseDir) known() map[string]known {
	if d == nil {
		return nil
	}
	all := make(map[string]known, len(d.dirs)+len(d.files)/16)
	for _, sub := range d.dirs {
		all[sub.name] = known{sub.stamp, sub}
	}
	var s stamp
	for b := d.files; len(b) > 0; {
		size, n := binary.Uvarint(b)
		name := string(b[n : n+int(size)])
		b = b[n+int(size):]
		ino, n := binary.Varint(b)
		ctime, m := binary.Varint(b[n:])
		b = b[n+m:]
		s = stamp{ino: s.ino + uint64(ino), ctime: s.ctime + ctime}
		all[name] = known{stamp: s}
	}
	return all
}

package snapshot

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"
)

// Entry is one entry of a layer or one file of a tree: what a tar header says of it, and its content.
// Entries that were handed out are not changed any more.
type Entry struct {
	// Path is relative to the root, clean and with slashes; the root itself is "".
	Path string
	Kind Kind
	// Opaque says of a directory that nothing of it below the layer remains.
	Opaque bool
	// Mode holds the permission, setuid, setgid and sticky bits, as chmod(2) takes them.
	Mode     uint32
	UID, GID uint32
	// Size is in bytes, of regular files only.
	Size    int64
	ModTime time.Time
	// Link is what a symbolic link holds, or the path of the entry that a hard link is another name of.
	Link string
	// Major and Minor are the numbers of a device.
	Major, Minor uint32
	// Xattrs holds extended attributes by name. It may be nil.
	Xattrs map[string]string
	// Open gives the content of a regular file. Who calls it closes what it returns.
	Open func() (io.ReadCloser, error)
	// Sum is the SHA-256 of the content if it is known, else nil.
	Sum *[32]byte
	// crc is the CRC-32C of the content in an entry of an inventory, else nil.
	crc *uint32
	// Learn, if not nil, is told the Sum once somebody has read the content.
	Learn func(sum [32]byte)
	// implicit: nothing else is said of this directory, what the layers below say counts.
	implicit bool
	// stat is what else the system says of a file that is in a directory.
	stat *stat
	// inode tells which entries of one walk are the same file; zero if that does not matter.
	inode inode
}

// stat is what tells that a file has changed, beside its size and time.
type stat struct {
	// ctime is in nanoseconds since 1970.
	ctime int64
	inode uint64
}

// inode identifies a file that has several names: on disk by its numbers, in memory by its entry.
type inode struct {
	dev, ino uint64
	entry    *Entry
}

// Kind is the type of an entry.
type Kind byte

// The kinds of entries.
const (
	Regular Kind = iota
	Directory
	Symlink
	// Hardlink is another name of a regular file of the same layer.
	Hardlink
	CharDevice
	BlockDevice
	Fifo
	// Whiteout says that a path of the layers below is gone.
	Whiteout
)

// Entries is a stream of entries, parents before what is in them. It ends with the first error. It can be
// run again and gives the same then.
type Entries = iter.Seq2[*Entry, error]

// FS is a tree that can be read. Its paths are like those of entries and resolved literally: no part of
// one but the last may be a link. What is not there is fs.ErrNotExist.
type FS interface {
	Lstat(name string) (*Entry, error)
	// ReadDir lists a directory in the order of names.
	ReadDir(name string) ([]*Entry, error)
}

// maxLinks is how many links one path may lead through, as in the kernel.
const maxLinks = 40

// Resolve follows the links in a path of fsys and returns a path without any. Links lead nowhere but
// into fsys. A part that does not exist is kept as it is, and so is all after it. The last part is
// followed only if follow is true.
func Resolve(fsys FS, name string, follow bool) (string, error) {
	rest := strings.Split(strings.Trim(name, "/"), "/")
	var done string
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = parent(done)
			continue
		}
		next := path.Join(done, part)
		if len(rest) == 0 && !follow {
			return next, nil
		}
		e, err := fsys.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) {
			return path.Join(append([]string{next}, rest...)...), nil
		}
		if err != nil {
			return "", err
		}
		if e.Kind != Symlink {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: name, Err: errTooManyLinks}
		}
		if path.IsAbs(e.Link) {
			done = ""
		}
		rest = append(strings.Split(e.Link, "/"), rest...)
	}
	return done, nil
}

var errTooManyLinks = errors.New("too many levels of symbolic links")

// parent returns the directory that holds name; that of the root is the root.
func parent(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return ""
}

// Walk streams the file name of fsys and, if it is a directory, all below it, depth first and in the order
// of names. A file that has several names in the walk is a hard link from the second on.
func Walk(fsys FS, name string) Entries {
	return WithLinks(func(yield func(*Entry, error) bool) {
		e, err := fsys.Lstat(name)
		if err != nil {
			yield(nil, err)
			return
		}
		walk(fsys, e, yield)
	})
}

func walk(fsys FS, e *Entry, yield func(*Entry, error) bool) bool {
	if !yield(e, nil) {
		return false
	}
	if e.Kind != Directory {
		return true
	}
	children, err := fsys.ReadDir(e.Path)
	if err != nil {
		yield(nil, err)
		return false
	}
	for _, c := range children {
		if !walk(fsys, c, yield) {
			return false
		}
	}
	return true
}

// WithLinks gives the same stream, in which a file that comes under several names is a hard link from the
// second on.
func WithLinks(entries Entries) Entries {
	return func(yield func(*Entry, error) bool) {
		l := linker{}
		for e, err := range entries {
			if err == nil {
				e = l.link(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Apart gives the same stream as [WithLinks], and its files are no other stream's: what is linked to them
// elsewhere is a file of its own.
func Apart(entries Entries) Entries {
	return func(yield func(*Entry, error) bool) {
		for e, err := range WithLinks(entries) {
			if err == nil {
				own := *e
				own.inode = inode{}
				e = &own
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// linker holds the first name of every file that has several.
type linker map[inode]string

// link returns e as a hard link if another name of the file came before.
func (l linker) link(e *Entry) *Entry {
	if e.inode == (inode{}) {
		return e
	}
	first, ok := l[e.inode]
	if !ok {
		l[e.inode] = e.Path
		return e
	}
	linked := *e
	linked.Kind, linked.Link, linked.Size, linked.Open, linked.Sum, linked.Learn = Hardlink, first, 0, nil, nil, nil
	return &linked
}

// sortByName puts the children of one directory in order.
func sortByName(entries []*Entry) {
	slices.SortFunc(entries, func(a, b *Entry) int { return cmp.Compare(a.Path, b.Path) })
}

// Chain gives the entries of several streams one after the other.
func Chain(streams ...Entries) Entries {
	return func(yield func(*Entry, error) bool) {
		for _, s := range streams {
			for e, err := range s {
				if !yield(e, err) {
					return
				}
			}
		}
	}
}

// Listed streams the entries of a list.
func Listed(list []*Entry) Entries {
	return func(yield func(*Entry, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

//go:build linux

package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
	"github.com/seed-298d225e/builder/ownership"
)

// dirWriter writes the entries of one layer into a directory, in the form in which overlayfs takes a
// layer: a whiteout is a character device 0:0, an opaque directory has an attribute. It resolves all
// paths below the directory, whatever links the layer holds.
type dirWriter struct {
	// owned are the files whose owner is written beside the tree.
	owned []*Entry
	root  *os.File
	// rootPath is where root is.
	rootPath string
	owners   Owners
	// parent is the directory that was written to last, open. Entries call it parentPath; that it is at parentReal instead is
	// the work of links in the layer.
	parent                 *os.File
	parentPath, parentReal string
	// dirs get their modes and times when all that is in them is written.
	dirs   map[string]*Entry
	buffer []byte
	// inventory, if not nil, notes what is written.
	inventory *inventory
	// crc is the CRC-32C of the content that was written last, if there is an inventory.
	crc uint32
	// loose is what only makes sense with the layers below.
	loose loose
}

// loose is what writing one layer alone leaves open. See settle.
type loose struct {
	// implicit are directories that had to be made but have no entry: their metadata is that of the
	// directory below, which may also be a link to another.
	implicit map[string]bool
	// links are hard links to files that the layer does not hold.
	links []*Entry
	// whiteouts may hide nothing.
	whiteouts []string
	// size adds up the sizes of the files.
	size int64
	// skipped counts devices, which cannot be made without privileges.
	skipped int
}

// writeDir writes a layer into an empty directory. If observe is not nil it is told of every entry once it
// is written, with its Sum.
func writeDir(root *os.File, owners Owners, entries Entries, observe func(*Entry) error) (loose, error) {
	w, err := newDirWriter(root, owners)
	if err != nil {
		return loose{}, err
	}
	return w.write(entries, observe)
}

// writeNoted is writeDir with an inventory of what it writes.
func writeNoted(root *os.File, owners Owners, entries Entries, noted *inventory) (loose, error) {
	w, err := newDirWriter(root, owners)
	if err != nil {
		return loose{}, err
	}
	w.inventory = noted
	return w.write(entries, nil)
}

func newDirWriter(root *os.File, owners Owners) (*dirWriter, error) {
	at, err := os.Readlink(fdPath(root))
	if err != nil {
		return nil, err
	}
	return &dirWriter{
		root: root, rootPath: at, owners: owners, dirs: map[string]*Entry{}, buffer: make([]byte, 256<<10),
		loose: loose{implicit: map[string]bool{}},
	}, nil
}

func (w *dirWriter) write(entries Entries, observe func(*Entry) error) (loose, error) {
	defer w.leave()
	for e, err := range entries {
		if err != nil {
			return loose{}, err
		}
		if e, err = w.put(e, observe != nil); err != nil {
			return loose{}, err
		}
		if observe == nil {
			continue
		}
		if err := observe(e); err != nil {
			return loose{}, err
		}
	}
	if _, ok := w.dirs[""]; !ok {
		w.loose.implicit[""] = true
	}
	if err := writeOwners(w.root, w.owned); err != nil {
		return loose{}, err
	}
	return w.loose, w.finish()
}

// put writes one entry and returns it, with its Sum if hash is true.
func (w *dirWriter) put(e *Entry, hash bool) (*Entry, error) {
	if e.Path == "" {
		return e, w.putDir(e)
	}
	if err := w.enter(parent(e.Path)); err != nil {
		return nil, fmt.Errorf("writing %s: %w", e.Path, err)
	}
	there := w.located(e)
	summed, err := w.make(there, hash)
	if errors.Is(err, fs.ErrExist) {
		if err = w.clear(there); err == nil {
			summed, err = w.make(there, hash)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", e.Path, err)
	}
	if there != e {
		told := *summed
		told.Path = e.Path
		summed = &told
	}
	return summed, nil
}

// located returns e with the path that it has in the current directory, whatever links lead there.
func (w *dirWriter) located(e *Entry) *Entry {
	if w.parentReal == w.parentPath {
		return e
	}
	located := *e
	located.Path = path.Join(w.parentReal, path.Base(e.Path))
	return &located
}

// enter makes the directory at name the one that is written to.
func (w *dirWriter) enter(name string) error {
	if w.parent != nil && w.parentPath == name {
		return nil
	}
	at := name
	dir, err := inroot.OpenReal(w.root, name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		dir, at, err = w.directory(name)
	}
	if err != nil {
		return err
	}
	w.leave()
	w.parent, w.parentPath, w.parentReal = dir, name, at
	return nil
}

// directory opens the directory at name, which is made if there is none, and returns the path that it has without links.
func (w *dirWriter) directory(name string) (dir *os.File, at string, err error) {
	dir, err = inroot.Directory(w.root, name, func(parent *os.File, base string) error {
		at, err := w.pathOf(parent)
		if err != nil {
			return err
		}
		w.loose.implicit[path.Join(at, base)] = true
		return unix.Mkdirat(int(parent.Fd()), base, 0o755)
	})
	if err != nil {
		return nil, "", err
	}
	if at, err = w.pathOf(dir); err != nil {
		dir.Close()
		return nil, "", err
	}
	return dir, at, nil
}

// pathOf returns the path of an open directory below the root.
func (w *dirWriter) pathOf(dir *os.File) (string, error) {
	at, err := os.Readlink(fdPath(dir))
	return strings.Trim(strings.TrimPrefix(at, w.rootPath), "/"), err
}

func (w *dirWriter) leave() {
	if w.parent != nil {
		w.parent.Close()
		w.parent = nil
	}
}

// make makes what e says in the current directory. What is in the way is fs.ErrExist.
func (w *dirWriter) make(e *Entry, hash bool) (*Entry, error) {
	dir, base := int(w.parent.Fd()), path.Base(e.Path)
	switch e.Kind {
	case Directory:
		return e, w.putDir(e)
	case Regular:
		return w.putFile(e, hash)
	case Whiteout:
		w.loose.whiteouts = append(w.loose.whiteouts, e.Path)
		return e, putWhiteout(w.parent, base)
	case Hardlink:
		return e, w.putLink(e)
	case Symlink:
		if err := unix.Symlinkat(e.Link, dir, base); err != nil {
			return nil, err
		}
	case Fifo:
		if err := unix.Mknodat(dir, base, unix.S_IFIFO|0o600, 0); err != nil {
			return nil, err
		}
	case CharDevice, BlockDevice:
		return e, w.putDevice(e)
	}
	return e, w.metadata(e)
}

// putDevice records a device in an empty file: devices are not for users to make, and one 0:0 would hide
// what is below.
func (w *dirWriter) putDevice(e *Entry) error {
	if e.Kind == CharDevice && e.Major == 0 && e.Minor == 0 {
		return nil
	}
	dir, base := int(w.parent.Fd()), path.Base(e.Path)
	if err := unix.Mknodat(dir, base, unix.S_IFREG, 0); err != nil {
		return err
	}
	r := ownership.Record{UID: e.UID, GID: e.GID, Device: 'c', Major: e.Major, Minor: e.Minor, Mode: e.Mode}
	if e.Kind == BlockDevice {
		r.Device = 'b'
	}
	if err := ownership.Set(fdPath(w.parent)+"/"+base, r); err != nil {
		w.loose.skipped++
		return unix.Unlinkat(dir, base, 0)
	}
	if err := w.setTime(base, e.ModTime); err != nil {
		return err
	}
	return w.note(e)
}

// clear removes what is in the way of e, unless both are directories.
func (w *dirWriter) clear(e *Entry) error {
	base := path.Base(e.Path)
	removed, err := removeAt(w.parent, base)
	if err != nil || !removed {
		return err
	}
	w.inventory.outdate()
	for name := range w.dirs {
		if name == e.Path || strings.HasPrefix(name, e.Path+"/") {
			delete(w.dirs, name)
		}
	}
	for name := range w.loose.implicit {
		if name == e.Path || strings.HasPrefix(name, e.Path+"/") {
			delete(w.loose.implicit, name)
		}
	}
	return nil
}

// removeAt removes a file, or a directory with all that is in it.
func removeAt(dir *os.File, name string) (removed bool, err error) {
	err = unix.Unlinkat(int(dir.Fd()), name, 0)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) {
		err = os.RemoveAll(fdPath(dir) + "/" + name) // os.RemoveAll works with descriptors and follows no links
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (w *dirWriter) putDir(e *Entry) error {
	if e.Path != "" {
		err := unix.Mkdirat(int(w.parent.Fd()), path.Base(e.Path), 0o700)
		if errors.Is(err, fs.ErrExist) {
			err = w.keepDir(path.Base(e.Path))
		}
		if err != nil {
			return err
		}
	}
	delete(w.loose.implicit, e.Path)
	before := w.dirs[e.Path]
	switch {
	case before == nil && !e.onlyMarker():
		w.dirs[e.Path] = e
	case before == nil: // only a marker: the metadata is that of below
		w.dirs[e.Path] = e
		w.loose.implicit[e.Path] = true
	case e.onlyMarker():
		both := *before
		both.Opaque = true
		w.dirs[e.Path] = &both
	default:
		both := *e
		both.Opaque = both.Opaque || before.Opaque
		w.dirs[e.Path] = &both
	}
	return nil
}

// keepDir returns fs.ErrExist unless what is called base is a directory.
func (w *dirWriter) keepDir(base string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(w.parent.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fs.ErrExist
	}
	return nil
}

// putLink makes another name of a file of this layer.
func (w *dirWriter) putLink(e *Entry) error {
	target, err := inroot.Open(w.root, e.Link, unix.O_PATH|unix.O_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		w.loose.links = append(w.loose.links, e)
		return nil
	}
	if err != nil {
		return err
	}
	defer target.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(target.Fd()), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return fmt.Errorf("hard link to the directory %s", e.Link)
	}
	dir, base := int(w.parent.Fd()), path.Base(e.Path)
	err = unix.Linkat(unix.AT_FDCWD, fdPath(target), dir, base, unix.AT_SYMLINK_FOLLOW)
	var there unix.Stat_t
	if errors.Is(err, fs.ErrExist) && unix.Fstatat(dir, base, &there, unix.AT_SYMLINK_NOFOLLOW) == nil && there.Dev == st.Dev && there.Ino == st.Ino {
		return nil // it is this name, or was made before
	}
	if err != nil {
		return err
	}
	w.inventory.add(e)
	return nil
}

func (w *dirWriter) putFile(e *Entry, hash bool) (*Entry, error) {
	w.loose.size += e.Size
	base := path.Base(e.Path)
	fd, err := unix.Openat(int(w.parent.Fd()), base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, e.Mode&0o777)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), e.Path)
	defer f.Close()
	summed, err := w.content(f, e, hash && e.Sum == nil)
	if err != nil {
		return nil, err
	}
	return summed, w.metadata(e)
}

// content writes the content of e to f, with holes where it has nothing but zeros.
func (w *dirWriter) content(f *os.File, e *Entry, hash bool) (*Entry, error) {
	w.crc = 0
	if e.Size == 0 && !hash {
		return e, nil
	}
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var n int64
	switch source, ok := r.(*os.File); {
	case ok && !hash:
		n, err = f.ReadFrom(source) // in the kernel, as a reference where the file system can
	case hash:
		h := sha256.New()
		n, err = w.copySparse(f, io.TeeReader(r, h))
		if err == nil && n == e.Size {
			e = e.withSum(h.Sum(nil))
		}
	default:
		n, err = w.copySparse(f, r)
	}
	if err == nil && n != e.Size {
		err = fmt.Errorf("it changed while it was read: %d bytes instead of %d", n, e.Size)
	}
	return e, err
}

var zeros [64 << 10]byte //nolint:gochecknoglobals // a constant

// copySparse copies r to f and leaves out whole blocks of zeros.
func (w *dirWriter) copySparse(f *os.File, r io.Reader) (int64, error) {
	var size, hole int64
	for {
		n, err := io.ReadFull(r, w.buffer)
		chunk := w.buffer[:n]
		if w.inventory != nil {
			w.crc = crc32.Update(w.crc, castagnoli(), chunk)
		}
		for len(chunk) > 0 {
			block := chunk[:min(len(chunk), len(zeros))]
			chunk = chunk[len(block):]
			size += int64(len(block))
			if string(block) == string(zeros[:len(block)]) {
				hole += int64(len(block))
				continue
			}
			if err := writeAfterHole(f, block, &hole); err != nil {
				return size, err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return size, err
		}
	}
	if hole > 0 {
		return size, f.Truncate(size)
	}
	return size, nil
}

func writeAfterHole(f *os.File, block []byte, hole *int64) error {
	if *hole > 0 {
		if _, err := f.Seek(*hole, io.SeekCurrent); err != nil {
			return err
		}
		*hole = 0
	}
	_, err := f.Write(block)
	return err
}

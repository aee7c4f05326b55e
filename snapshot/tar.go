package snapshot

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"path"
	"strings"
	"time"
)

// A layer is a tar archive as the OCI image specification says (layer.md): a file that a layer removes
// stands in it as an empty file called .wh.NAME, a directory of which nothing below remains holds one
// called .wh..wh..opq.
const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
	// metaPrefix begins further markers, of AUFS, that say nothing about the tree.
	metaPrefix  = ".wh..wh."
	xattrPrefix = "SCHILY.xattr."
)

// What an archive may hold at most. A few bytes can stand for very many: a sparse file is as large as it says, and
// what repeats itself compresses to nothing.
const (
	maxContent = 64 << 30
	maxEntries = 20_000_000
)

// ReadTar streams the entries of a layer of a form. It can be run once, and an entry's content must be read
// before the next entry is asked for.
func ReadTar(r io.Reader, form Form) Entries { return readTar(r, form, whiteout) }

// ReadArchive is ReadTar for an archive that is not a layer. A file that would be taken for a mark of a
// layer is an error: no layer can hold it.
func ReadArchive(r io.Reader) Entries {
	return readTar(r, Unix, func(e *Entry, _ string) (*Entry, error) { return nil, markedError(e.Path) })
}

// markedError is the error of a file that would be taken for a mark of a layer.
func markedError(name string) error {
	return fmt.Errorf("%s: a file whose name begins with %s cannot be in a layer", name, whiteoutPrefix)
}

// IsTar reports whether r begins like a tar archive.
func IsTar(r io.Reader) bool {
	_, err := tar.NewReader(r).Next()
	return err == nil
}

// readTar streams the entries of an archive; marks says what a name with the prefix of a whiteout is.
func readTar(r io.Reader, form Form, marks func(e *Entry, base string) (*Entry, error)) Entries {
	return func(yield func(*Entry, error) bool) {
		archive := bounded{Reader: tar.NewReader(r), room: maxContent}
		for {
			h, err := archive.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("reading an archive: %w", err))
				return
			}
			if !form.strip(h) {
				continue
			}
			e, err := fromHeader(h, archive, marks)
			if e == nil && err == nil {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// bounded is an archive that may not hold more than is left for it.
type bounded struct {
	*tar.Reader
	// room is how many bytes there is room for, entries how many there have been.
	room    int64
	entries int
}

func (b *bounded) next() (*tar.Header, error) {
	h, err := b.Next()
	if err != nil {
		return nil, err
	}
	b.room -= h.Size
	b.entries++
	switch {
	case b.room < 0:
		return nil, fmt.Errorf("its files are larger than %d GiB together", maxContent>>30)
	case b.entries > maxEntries:
		return nil, fmt.Errorf("it has more than %d entries", maxEntries)
	}
	return h, nil
}

// readTail reads what follows the end of an archive: it belongs to the digest that is being checked.
func readTail(r io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, maxContent))
	if err == nil && n == maxContent {
		return fmt.Errorf("more than %d GiB follow the end of an archive", maxContent>>30)
	}
	return err
}

// fromHeader returns the entry of a tar header, nil if there is none to be made of it.
func fromHeader(h *tar.Header, content io.Reader, marks func(*Entry, string) (*Entry, error)) (*Entry, error) {
	name, err := entryPath(h.Name)
	if err != nil {
		return nil, err
	}
	if h.Uid < 0 || h.Gid < 0 || h.Uid > math.MaxUint32 || h.Gid > math.MaxUint32 {
		return nil, fmt.Errorf("%q has the owner %d:%d, which is none", h.Name, h.Uid, h.Gid)
	}
	e := &Entry{
		Path: name, Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid),
		ModTime: h.ModTime, Xattrs: xattrs(h),
	}
	if base := path.Base(name); strings.HasPrefix(base, whiteoutPrefix) {
		return marks(e, base)
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse, tar.TypeCont: //nolint:staticcheck // old archives have TypeRegA
		e.Kind, e.Size = Regular, h.Size
		e.Open = func() (io.ReadCloser, error) { return io.NopCloser(content), nil }
	case tar.TypeDir:
		e.Kind = Directory
	case tar.TypeSymlink:
		e.Kind, e.Link = Symlink, h.Linkname
	case tar.TypeLink:
		e.Kind = Hardlink
		e.Link, err = entryPath(h.Linkname)
	case tar.TypeChar, tar.TypeBlock:
		e.Kind, e.Major, e.Minor = CharDevice, uint32(h.Devmajor), uint32(h.Devminor)
		if h.Typeflag == tar.TypeBlock {
			e.Kind = BlockDevice
		}
	case tar.TypeFifo:
		e.Kind = Fifo
	default: // of a type that is not known here, such as a volume label
		return nil, nil
	}
	if name == "" && e.Kind != Directory {
		return nil, errors.New("the root of a layer is not a directory")
	}
	return e, err
}

// entryPath returns a tar name as a path below the root. A name that climbs is refused: no correct layer
// has one.
func entryPath(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("the name %q leads out of its layer", name)
		}
	}
	return path.Clean("/" + name)[1:], nil
}

// whiteout returns e, whose name begins like a whiteout's, as what it means.
func whiteout(e *Entry, base string) (*Entry, error) {
	dir := parent(e.Path)
	switch {
	case base == opaqueMarker:
		return &Entry{Path: dir, Kind: Directory, Opaque: true}, nil
	case strings.HasPrefix(base, metaPrefix):
		return nil, nil
	}
	hidden := strings.TrimPrefix(base, whiteoutPrefix)
	if hidden == "" || hidden == "." || hidden == ".." {
		return nil, fmt.Errorf("%q is not a valid whiteout", e.Path)
	}
	return &Entry{Path: path.Join(dir, hidden), Kind: Whiteout}, nil
}

func xattrs(h *tar.Header) map[string]string {
	var found map[string]string
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, xattrPrefix); ok {
			if found == nil {
				found = map[string]string{}
			}
			if name == capabilityXattr {
				value = anyRoot(value)
			}
			found[name] = value
		}
	}
	return found
}

const capabilityXattr = "security.capability"

// anyRoot returns capabilities of version 3, which are those of one user namespace alone, as version 2: whatever
// wrote such a layer meant the root of the image. See capabilities(7) for the format.
func anyRoot(value string) string {
	const version2, version3, size2, size3 = "\x02", "\x03", 20, 24
	if len(value) != size3 || value[3:4] != version3 {
		return value
	}
	return value[:3] + version2 + value[4:size2]
}

// onlyMarker reports whether e stands for an opaque marker alone: it says nothing else of the directory.
func (e *Entry) onlyMarker() bool {
	return e.Opaque && e.ModTime.IsZero()
}

// WriteTar writes a layer. The bytes depend on the entries alone: the format is the oldest that can hold
// an entry (USTAR, else PAX), times are whole seconds, and nothing but the entries is written. A file that would be
// taken for a mark is an error: whoever unpacks the layer would delete what it names.
func WriteTar(w io.Writer, entries Entries, form Form) error {
	archive := tar.NewWriter(w)
	for _, h := range form.preamble() {
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
	}
	buffer := make([]byte, 256<<10)
	for e, err := range entries {
		if err != nil {
			return err
		}
		if e.Kind != Whiteout && strings.HasPrefix(path.Base(e.Path), whiteoutPrefix) {
			return markedError(e.Path)
		}
		for h := range form.headers(e) {
			if err := archive.WriteHeader(h); err != nil {
				return fmt.Errorf("writing %s: %w", e.Path, err)
			}
		}
		if e.Kind == Regular && e.Size > 0 {
			if err := writeContent(archive, e, buffer); err != nil {
				return err
			}
		}
	}
	return archive.Close()
}

func writeContent(w io.Writer, e *Entry, buffer []byte) error {
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(r, e.Size), buffer)
	if err != nil {
		return fmt.Errorf("reading %s: %w", e.Path, err)
	}
	if n != e.Size {
		return fmt.Errorf("%s changed while it was read: %d bytes instead of %d", e.Path, n, e.Size)
	}
	return nil
}

// headers returns the tar headers of an entry.
func headers(e *Entry) iter.Seq[*tar.Header] {
	return func(yield func(*tar.Header) bool) {
		if e.Kind == Whiteout {
			yield(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(parent(e.Path), whiteoutPrefix+path.Base(e.Path))})
			return
		}
		if !e.onlyMarker() && !yield(header(e)) {
			return
		}
		if e.Opaque {
			yield(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(e.Path, opaqueMarker)})
		}
	}
}

func header(e *Entry) *tar.Header {
	h := &tar.Header{
		Typeflag: typeflag(e.Kind), Name: e.Path, Mode: int64(e.Mode), Uid: int(e.UID), Gid: int(e.GID),
		Size: e.Size, Linkname: e.Link, ModTime: e.ModTime.Truncate(time.Second),
		Devmajor: int64(e.Major), Devminor: int64(e.Minor),
	}
	switch {
	case e.Path == "":
		h.Name = "./"
	case e.Kind == Directory:
		h.Name += "/"
	}
	if len(e.Xattrs) > 0 {
		h.PAXRecords = make(map[string]string, len(e.Xattrs))
		for name, value := range e.Xattrs {
			h.PAXRecords[xattrPrefix+name] = value
		}
	}
	return h
}

func typeflag(k Kind) byte {
	switch k {
	case Directory:
		return tar.TypeDir
	case Symlink:
		return tar.TypeSymlink
	case Hardlink:
		return tar.TypeLink
	case CharDevice:
		return tar.TypeChar
	case BlockDevice:
		return tar.TypeBlock
	case Fifo:
		return tar.TypeFifo
	case Regular, Whiteout:
		return tar.TypeReg
	}
	return tar.TypeReg
}

//go:build linux

package fetch

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// limits bounds what an archive may hold.
type limits struct {
	// size is that of all files together, in bytes.
	size    int64
	entries int
	// depth is how many directories a path may have.
	depth int
}

func archiveLimits() limits { return limits{size: 64 << 30, entries: 20_000_000, depth: 4096} }

// Archive unpacks a tar archive, compressed with gzip, bzip2, xz or zstd or not at all, into dir, an empty
// directory. Everything belongs to the user then; modes and modification times are kept, extended attributes
// are not. Names in the archive are resolved with dir as "/", so that no link leads out of it, and one that
// climbs out of it is an error. Devices, FIFOs and sockets are left out.
func Archive(ctx context.Context, r io.Reader, dir string) error {
	return unpack(ctx, r, dir, archiveLimits())
}

func unpack(ctx context.Context, r io.Reader, dir string, most limits) error {
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	plain, err := decompress(r)
	if err != nil {
		return fmt.Errorf("decompressing the archive: %w", err)
	}
	defer plain.Close()
	u := &unpacker{root: root, tar: tar.NewReader(plain), left: most, dirs: map[string]*tar.Header{}}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		header, err := u.tar.Next()
		if errors.Is(err, io.EOF) {
			return u.finish()
		}
		if err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}
		if err := u.entry(ctx, header); err != nil {
			return fmt.Errorf("unpacking %q: %w", header.Name, err)
		}
	}
}

// unpacker is an archive that is being unpacked.
type unpacker struct {
	root *os.File
	tar  *tar.Reader
	// left is what the rest may still hold.
	left limits
	// dirs are the directories that the archive has, which get their modes and times at the end.
	dirs map[string]*tar.Header
}

func (u *unpacker) entry(ctx context.Context, h *tar.Header) error {
	if u.left.entries--; u.left.entries < 0 {
		return errors.New("the archive has too many entries")
	}
	name, err := u.inside(h.Name)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeXGlobalHeader, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return nil
	case tar.TypeDir, tar.TypeReg, tar.TypeGNUSparse, tar.TypeLink, tar.TypeSymlink:
	default:
		return fmt.Errorf("entries of type %q are not supported", string(h.Typeflag))
	}
	if name == "" {
		return nil // dir itself stays as it is
	}
	parent, err := inroot.Directory(u.root, path.Dir(name), makeDir)
	if err != nil {
		return err
	}
	defer parent.Close()
	return u.place(ctx, h, parent, name)
}

// inside returns a name of the archive relative to the root, if it is inside.
func (u *unpacker) inside(name string) (string, error) {
	name = path.Clean(strings.TrimLeft(name, "/"))
	if name == ".." || strings.HasPrefix(name, "../") {
		return "", errors.New("the path leads out of the archive")
	}
	if strings.Count(name, "/") > u.left.depth {
		return "", fmt.Errorf("the path has more than %d directories", u.left.depth)
	}
	if name == "." {
		name = ""
	}
	return name, nil
}

// place makes the entry h, whose path is name, in parent.
func (u *unpacker) place(ctx context.Context, h *tar.Header, parent *os.File, name string) error {
	base := path.Base(name)
	if h.Typeflag == tar.TypeDir {
		u.dirs[name] = h
		return u.directory(parent, base)
	}
	if h.Typeflag == tar.TypeLink {
		return u.hardLink(h, parent, name)
	}
	if err := clearName(parent, base); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		if err := unix.Symlinkat(h.Linkname, int(parent.Fd()), base); err != nil {
			return err
		}
		return setTime(parent, base, h.ModTime)
	}
	return u.file(ctx, h, parent, base)
}

// directory makes a directory unless it is there.
func (u *unpacker) directory(parent *os.File, base string) error {
	d, err := inroot.OpenReal(parent, base, unix.O_PATH|unix.O_DIRECTORY)
	if err == nil {
		return d.Close()
	}
	if err := clearName(parent, base); err != nil {
		return err
	}
	return makeDir(parent, base)
}

func (u *unpacker) file(ctx context.Context, h *tar.Header, parent *os.File, base string) error {
	if u.left.size -= h.Size; u.left.size < 0 {
		return errors.New("the archive is too large")
	}
	f, err := inroot.OpenReal(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeSparse(ctx, f, u.tar, h.Size); err != nil {
		return err
	}
	if err := unix.Fchmod(int(f.Fd()), mode(h)); err != nil {
		return err
	}
	return setTime(parent, base, h.ModTime)
}

// hardLink links to a file that was unpacked before. The target is a path of the archive, not of a directory
// in it, and is not followed if it is a symbolic link.
func (u *unpacker) hardLink(h *tar.Header, parent *os.File, name string) error {
	target, err := u.inside(h.Linkname)
	if err != nil {
		return err
	}
	if target == name {
		return errors.New("it is a link to itself")
	}
	from, err := inroot.Open(u.root, path.Dir(target), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("linking to %q: %w", h.Linkname, err)
	}
	defer from.Close()
	if err := unix.Faccessat(int(from.Fd()), path.Base(target), unix.F_OK, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("linking to %q, which is not in the archive before it: %w", h.Linkname, err)
	}
	if err := clearName(parent, path.Base(name)); err != nil {
		return err
	}
	if err := unix.Linkat(int(from.Fd()), path.Base(target), int(parent.Fd()), path.Base(name), 0); err != nil {
		return fmt.Errorf("linking to %q: %w", h.Linkname, err)
	}
	return nil
}

// makeDir makes a directory as it is where the archive does not say, whatever the umask.
func makeDir(parent *os.File, name string) error {
	if err := unix.Mkdirat(int(parent.Fd()), name, 0o755); err != nil {
		return err
	}
	return unix.Fchmodat(int(parent.Fd()), name, 0o755, 0)
}

// clearName removes what is called name in parent; a directory only if it is empty.
func clearName(parent *os.File, name string) error {
	err := unix.Unlinkat(int(parent.Fd()), name, 0)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Unlinkat(int(parent.Fd()), name, unix.AT_REMOVEDIR)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("replacing what is there: %w", err)
	}
	return nil
}

func setTime(parent *os.File, name string, t time.Time) error {
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(parent.Fd()), name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// mode returns the permissions of h with setuid, setgid and sticky bits, as chmod(2) has them.
func mode(h *tar.Header) uint32 { return uint32(h.Mode) & 0o7777 }

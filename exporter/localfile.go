package exporter

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// localWriter writes a tree into a directory.
type localWriter struct {
	ctx    func() error // why the output is no longer wanted
	spool  *spool
	root   localDir
	owners bool
	remove bool
	names  firstNames
	lost   lost
}

// contents writes what is in a directory of the tree into d. path is that of d, "" or ending with a slash.
func (w *localWriter) contents(n *node, d localDir, path string) error {
	for _, name := range n.names() {
		if err := w.ctx(); err != nil {
			return err
		}
		child := n.children[name]
		write := w.leaf
		if child.dir() {
			write = w.dir
		}
		if err := write(child, d, path, name); err != nil {
			return err
		}
	}
	if !w.remove {
		return nil
	}
	return w.removeOthers(n, d, path)
}

// removeOthers removes from d what is not in a directory of the tree.
func (w *localWriter) removeOthers(n *node, d localDir, path string) error {
	have, err := d.names()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, name := range have {
		if n.children[name] != nil {
			continue
		}
		if err := d.remove(name); err != nil {
			return fmt.Errorf("%s: %w", path+name, err)
		}
	}
	return nil
}

// dir writes a directory and all in it.
func (w *localWriter) dir(n *node, d localDir, path, name string) error {
	sub, err := d.make(name)
	if err != nil {
		return fmt.Errorf("%s: %w", path+name, err)
	}
	defer sub.close()
	if err := w.contents(n, sub, path+name+"/"); err != nil {
		return err
	}
	if err := errors.Join(w.metadata(n, sub.f), w.dated(n, sub, ".")); err != nil {
		return fmt.Errorf("%s: %w", path+name, err)
	}
	return nil
}

// leaf writes what is not a directory.
func (w *localWriter) leaf(n *node, d localDir, path, name string) (err error) {
	if first := w.names.of(n, path+name); first != "" && w.link(first, d, name) == nil {
		return nil
	}
	switch n.kind {
	case tar.TypeReg:
		err = w.file(n, d, name)
	case tar.TypeSymlink:
		err = w.special(n, d, name, func(as string) error { return unix.Symlinkat(n.target, d.fd(), as) })
	case tar.TypeFifo:
		err = w.special(n, d, name, func(as string) error { return unix.Mkfifoat(d.fd(), as, 0o600) })
	default:
		err = w.device(n, d, name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path+name, err)
	}
	return nil
}

// link makes a hard link to what was written at path before.
func (w *localWriter) link(path string, d localDir, name string) error {
	dir, base := splitPath(path)
	from, err := w.root.walk(dir)
	if err != nil {
		return err
	}
	defer from.close()
	if err := d.remove(name); err != nil {
		return err
	}
	return unix.Linkat(from.fd(), base, d.fd(), name, 0)
}

// file writes a regular file under another name and then gives it its own.
func (w *localWriter) file(n *node, d localDir, name string) error {
	f, temp, err := d.create()
	if err != nil {
		return err
	}
	err = w.spool.copy(f, n.content)
	if err == nil {
		err = w.metadata(n, f)
	}
	return w.publish(n, d, temp, name, errors.Join(err, f.Close()))
}

// publish gives what was made under another name its own, unless making it failed with err.
func (w *localWriter) publish(n *node, d localDir, temp, name string, err error) error {
	if err == nil {
		err = w.dated(n, d, temp)
	}
	if err == nil {
		err = d.rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, d.remove(temp))
	}
	return nil
}

// special makes what is neither a file nor a directory.
func (w *localWriter) special(n *node, d localDir, name string, create func(as string) error) error {
	temp := tempName()
	if err := create(temp); err != nil {
		return err
	}
	kept, err := w.chown(n, func(uid, gid int) error {
		return unix.Fchownat(d.fd(), temp, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err == nil && n.kind != tar.TypeSymlink {
		err = unix.Fchmodat(d.fd(), temp, w.mode(n, kept), 0)
	}
	return w.publish(n, d, temp, name, err)
}

// device makes a device if owners are kept and the system lets us.
func (w *localWriter) device(n *node, d localDir, name string) error {
	kind := uint32(unix.S_IFBLK)
	if n.kind == tar.TypeChar {
		kind = unix.S_IFCHR
	}
	err := error(unix.EPERM)
	if w.owners {
		err = w.special(n, d, name, func(as string) error {
			return unix.Mknodat(d.fd(), as, kind|0o600, int(unix.Mkdev(uint32(n.major), uint32(n.minor))))
		})
	}
	if errors.Is(err, unix.EPERM) {
		w.lost.devices++
		return nil
	}
	return err
}

// metadata sets everything but the times, which come last.
func (w *localWriter) metadata(n *node, f *os.File) error {
	fd := int(f.Fd())
	kept, err := w.chown(n, func(uid, gid int) error { return unix.Fchown(fd, uid, gid) })
	if err != nil {
		return err
	}
	if err := unix.Fchmod(fd, w.mode(n, kept)); err != nil {
		return err
	}
	failed := 0
	for name, value := range n.xattrs {
		if unix.Fsetxattr(fd, name, []byte(value), 0) != nil {
			failed = 1
		}
	}
	w.lost.xattrs += failed
	return nil
}

func (w *localWriter) dated(n *node, d localDir, name string) error {
	err := unix.UtimesNanoAt(d.fd(), name, []unix.Timespec{n.modified, n.modified}, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.EINVAL) {
		return nil // a time that this file system does not know
	}
	return err
}

// chown gives a file the owner it has in the image, or counts that it has another.
func (w *localWriter) chown(n *node, chown func(uid, gid int) error) (kept bool, err error) {
	err = unix.EPERM
	if w.owners {
		err = chown(n.uid, n.gid)
	}
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EINVAL) {
		return err == nil, err
	}
	if n.uid != 0 || n.gid != 0 {
		w.lost.owners++
	}
	return false, nil
}

// mode is the mode of a file here. What makes it run as its owner is dropped if it has another one.
func (w *localWriter) mode(n *node, kept bool) uint32 {
	const setid = unix.S_ISUID | unix.S_ISGID
	if kept || n.mode&setid == 0 || n.dir() {
		return n.mode
	}
	w.lost.setids++
	return n.mode &^ setid
}

//go:build linux

package snapshot

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// kept reports whether an extended attribute of a layer reaches the disk. Those of overlayfs would change
// what a mount shows (and are in real images by accident), marks and recorded owners are ours, and the
// security modules of the machine, not the image, label its files.
func kept(name string) bool {
	switch {
	case strings.HasPrefix(name, "trusted.overlay."), strings.HasPrefix(name, "user.overlay."), strings.HasPrefix(name, "user.builder."):
		return false
	case name == "security.selinux", name == "security.ima", name == "security.evm", name == "security.apparmor":
		return false
	}
	return true
}

// setXattrs sets the attributes of a file by its path. What this user or file system cannot hold is left
// out, as every builder does that is not root.
func setXattrs(path string, xattrs map[string]string) error {
	for name, value := range xattrs {
		if !kept(name) {
			continue
		}
		err := unix.Lsetxattr(path, name, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return nil
}

// readXattrs returns the attributes of a file by its path, also those of overlayfs and ours.
func readXattrs(path string) (map[string]string, error) {
	names, err := listXattrs(path)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	xattrs := make(map[string]string, len(names))
	for _, name := range names {
		value, err := readXattr(path, name)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EPERM) {
			continue
		}
		if err != nil {
			return nil, err
		}
		xattrs[name] = value
	}
	return xattrs, nil
}

// xattrBuffer holds the attributes of nearly every file.
const xattrBuffer = 256

func listXattrs(path string) ([]string, error) {
	b := make([]byte, xattrBuffer)
	for {
		n, err := unix.Llistxattr(path, b)
		switch {
		case errors.Is(err, unix.ERANGE):
			b = make([]byte, 64<<10) // XATTR_LIST_MAX
			continue
		case errors.Is(err, unix.ENOTSUP):
			return nil, nil
		case err != nil || n == 0:
			return nil, err
		}
		return strings.Split(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00"), nil
	}
}

func readXattr(path, name string) (string, error) {
	b := make([]byte, xattrBuffer)
	for {
		n, err := unix.Lgetxattr(path, name, b)
		if errors.Is(err, unix.ERANGE) {
			b = make([]byte, 64<<10) // XATTR_SIZE_MAX
			continue
		}
		if err != nil {
			return "", err
		}
		return string(b[:n]), nil
	}
}

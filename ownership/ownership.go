//go:build linux

// Package ownership records whose a file is meant to be where the machine does not let it be given away: in an
// extended attribute of the file. A record says nothing of the file's mode, which can always be set.
package ownership

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Attribute is the name of the attribute. Its value is "UID:GID", and for an empty regular file that stands
// for a device "UID:GID:c:MAJOR:MINOR:MODE", or b instead of c; the mode is octal, the rest decimal.
const Attribute = "user.builder.owner"

// Record is what is recorded of a file.
type Record struct {
	UID, GID uint32
	// Device is 'c' or 'b' for a file that stands for a device, else 0.
	Device             rune
	Major, Minor, Mode uint32
}

// String returns the value of the attribute.
func (r Record) String() string {
	if r.Device == 0 {
		return strconv.FormatUint(uint64(r.UID), 10) + ":" + strconv.FormatUint(uint64(r.GID), 10)
	}
	return fmt.Sprintf("%d:%d:%c:%d:%d:%o", r.UID, r.GID, r.Device, r.Major, r.Minor, r.Mode)
}

// Parse reads the value of the attribute. One that is malformed records nothing.
func Parse(s string) (r Record, ok bool) {
	if strings.Count(s, ":") == 1 {
		n, err := fmt.Sscanf(s, "%d:%d", &r.UID, &r.GID)
		return r, n == 2 && err == nil
	}
	n, err := fmt.Sscanf(s, "%d:%d:%c:%d:%d:%o", &r.UID, &r.GID, &r.Device, &r.Major, &r.Minor, &r.Mode)
	return r, n == 6 && err == nil && (r.Device == 'c' || r.Device == 'b')
}

// Get returns what is recorded of the file at path, a link itself and not what it leads to; ok is false if
// nothing is.
func Get(path string) (r Record, ok bool) {
	var b [64]byte
	n, err := unix.Lgetxattr(path, Attribute, b[:])
	if err != nil {
		return Record{}, false
	}
	return Parse(string(b[:n]))
}

// Set records r of the file at path. Only regular files and directories can hold a record; for others the
// error is EPERM.
func Set(path string, r Record) error {
	return unix.Lsetxattr(path, Attribute, []byte(r.String()), 0)
}

// Remove removes what is recorded of the file at path, if anything is.
func Remove(path string) error {
	err := unix.Lremovexattr(path, Attribute)
	if err == unix.ENODATA || err == unix.ENOTSUP || err == unix.EPERM {
		return nil
	}
	return err
}

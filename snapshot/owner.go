//go:build linux

package snapshot

import (
	"os"

	"github.com/seed-298d225e/builder/ownership"
)

// Owners says which ids files on this machine can be given. Where one cannot, the owner is recorded in an
// extended attribute of the file and read back from there.
type Owners struct {
	// UIDs and GIDs are the ranges of ids that can be set.
	UIDs, GIDs []IDRange
	// Disk says, in some form, which ids files then have on the disk. Who has them otherwise cannot use trees made so. It is
	// "" if there is nothing to say: one id can be set, which is that of whoever the store belongs to, and all else is recorded.
	Disk string
}

// IDRange is Count ids from First on.
type IDRange struct {
	First, Count uint32
}

// AllOwners can be used where every id can be set.
func AllOwners() Owners {
	all := []IDRange{{0, 1<<32 - 1}}
	return Owners{UIDs: all, GIDs: all}
}

// can reports whether a file can be given an owner.
func (o Owners) can(uid, gid uint32) bool { return contains(o.UIDs, uid) && contains(o.GIDs, gid) }

func contains(ranges []IDRange, id uint32) bool {
	for _, r := range ranges {
		if id >= r.First && id-r.First < r.Count {
			return true
		}
	}
	return false
}

// forged reports whether what is recorded of e's file was not recorded by this program, which does so on files of its
// own only. The owner of another could else make programs that run as root, and devices, in the image.
func forged(e *Entry) bool { return int(e.UID) != os.Geteuid() }

// applyRecord gives e what is recorded of its file.
func applyRecord(e *Entry, r ownership.Record) {
	e.UID, e.GID = r.UID, r.GID
	switch r.Device {
	case 'c':
		e.Kind = CharDevice
	case 'b':
		e.Kind = BlockDevice
	default:
		return
	}
	e.Mode, e.Major, e.Minor, e.Size, e.Open = r.Mode, r.Major, r.Minor, 0, nil
}

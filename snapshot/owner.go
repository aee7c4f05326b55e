package snapshot

import (
	"fmt"
	"strings"
)

// Owners says which ids files on this machine can be given. Where one cannot, the owner is recorded in an
// extended attribute of the file and read back from there.
type Owners struct {
	// UIDs and GIDs are the ranges of ids that can be set.
	UIDs, GIDs []IDRange
}

// IDRange is Count ids from First on.
type IDRange struct {
	First, Count uint32
}

// AllOwners can be used where every id can be set.
func AllOwners() Owners {
	all := []IDRange{{0, 1<<32 - 1}}
	return Owners{all, all}
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

// ownerXattr is the attribute in which containers/storage and fuse-overlayfs record the owner and mode of
// a file: "UID:GID:MODE", optionally followed by ":TYPE".
const ownerXattr = "user.containers.override_stat"

// override is what the owner attribute says.
type override struct {
	uid, gid, mode uint32
	kind           string
}

func (o override) String() string {
	s := fmt.Sprintf("%d:%d:%04o", o.uid, o.gid, o.mode)
	if o.kind != "" {
		s += ":" + o.kind
	}
	return s
}

func parseOverride(s string) (o override, ok bool) {
	fields := strings.SplitN(s, ":", 4)
	if len(fields) < 3 {
		return o, false
	}
	if len(fields) == 4 {
		o.kind = fields[3]
	}
	n, err := fmt.Sscanf(strings.Join(fields[:3], " "), "%d %d %o", &o.uid, &o.gid, &o.mode)
	return o, err == nil && n == 3
}

// apply gives e what was recorded.
func (o override) apply(e *Entry) {
	e.UID, e.GID, e.Mode = o.uid, o.gid, o.mode
	var major, minor uint32
	switch kind, numbers, _ := strings.Cut(o.kind, "-"); kind {
	case "char":
		e.Kind = CharDevice
		_, _ = fmt.Sscanf(numbers, "%d-%d", &major, &minor)
	case "block":
		e.Kind = BlockDevice
		_, _ = fmt.Sscanf(numbers, "%d-%d", &major, &minor)
	default:
		return
	}
	e.Major, e.Minor, e.Size, e.Open = major, minor, 0, nil
}

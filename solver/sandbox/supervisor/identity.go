//go:build linux

package supervisor

import (
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A task has the identity that it asked for, as far as it can see, while the kernel knows one user only.
// Which one it has must go with it through fork and execve, as credentials do, and nobody is told of
// forks. The timer slack of a thread does just that: it is inherited, kept by execve, of no consequence, and
// can be read and set from outside (/proc/TID/timerslack_ns, see proc(5)). So the number of a task's identity
// is kept there, and prctl(PR_SET_TIMERSLACK) is answered without being done.

// identity is whom a task runs as: ids, real, effective, saved, and of the file system, see credentials(7).
type identity struct {
	uid, gid ids
	// groups are the supplementary groups, four bytes each.
	groups string
	// capable: it may change its ids. keep: it stays capable when it becomes another user (PR_SET_KEEPCAPS).
	capable, keep bool
}

// ids are the real, effective, saved and file system id.
type ids struct {
	real, effective, saved, fs uint32
}

func all(id uint32) ids { return ids{id, id, id, id} }

// unchanged is the id -1.
const unchanged = ^uint32(0)

// User is whom a command begins as.
type User struct {
	UID, GID uint32
	Groups   []uint32
}

func (u User) identity() identity {
	return identity{uid: all(u.UID), gid: all(u.GID), groups: packGroups(u.Groups), capable: u.UID == 0}
}

func packGroups(groups []uint32) string {
	var b []byte
	for _, g := range groups {
		b = binary.NativeEndian.AppendUint32(b, g)
	}
	return string(b)
}

// in reports whether gid is a group of i.
func (i identity) in(gid uint32) bool {
	for at := 0; at < len(i.groups); at += 4 {
		if binary.NativeEndian.Uint32([]byte(i.groups[at:])) == gid {
			return true
		}
	}
	return i.gid.fs == gid
}

// root reports whether files are open to i whatever their modes say.
func (i identity) root() bool { return i.uid.effective == 0 && i.uid.fs == 0 }

// with returns i with other user ids. Who gives up root for good is no longer capable, see capabilities(7).
func (i identity) with(uid ids) identity {
	i.uid = uid
	i.capable = i.capable && (i.keep || uid.has(0))
	return i
}

// identity returns whom the task runs as. A supervisor that keeps no identities takes all for root: whom files are open
// to is for the kernel to say there.
func (t *task) identity() identity {
	switch len(t.identities) {
	case 0:
		return identity{}
	case 1:
		return t.identities[0]
	}
	slack, err := strconv.ParseUint(strings.TrimSpace(t.timerSlack()), 10, 64)
	if n := slack - t.slack; err == nil && n < uint64(len(t.identities)) {
		return t.identities[n]
	}
	return t.identities[0]
}

// timerSlack is what the kernel says of it, "" if nothing. It is read for every call once there are two identities.
func (t *task) timerSlack() string {
	fd, err := unix.Open(t.proc("timerslack_ns"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }()
	var b [24]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// maxIdentities bounds the memory that a command can make its supervisor use, which no limit of the command counts.
const maxIdentities = 1024

// become makes i the identity of the task.
func (t *task) become(i identity) error {
	n := slices.Index(t.identities, i)
	if n < 0 {
		if len(t.identities) == maxIdentities {
			return unix.EAGAIN
		}
		n = len(t.identities)
		t.identities = append(t.identities, i)
	}
	slack := strconv.FormatUint(t.slack+uint64(n), 10)
	f, err := os.OpenFile(t.proc("timerslack_ns"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if !t.waits() {
		return unix.ESRCH // what is open may be about another task
	}
	_, err = f.WriteString(slack)
	return err
}

// prctl answers PR_SET_TIMERSLACK and notes PR_SET_KEEPCAPS.
func prctl(t *task) answer {
	if t.fd(0) == unix.PR_SET_TIMERSLACK {
		return result(0)
	}
	who := t.identity()
	if keep := t.args[1] == 1; keep != who.keep {
		who.keep = keep
		if err := t.become(who); err != nil {
			return failure(unix.EAGAIN)
		}
	}
	return proceed()
}

// noted restricts prctl to those. The kernel looks at half of the argument only.
func noted() []Bits {
	const half = 1<<32 - 1
	return []Bits{{Index: 0, Mask: half, Value: unix.PR_SET_TIMERSLACK}, {Index: 0, Mask: half, Value: unix.PR_SET_KEEPCAPS}}
}

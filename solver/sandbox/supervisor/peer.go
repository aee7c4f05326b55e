//go:build linux

package supervisor

import (
	"encoding/binary"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// asksForPeer restricts getsockopt(2) to SO_PEERCRED, which has another meaning at other levels than that of sockets.
func asksForPeer() []Bits { return []Bits{{Index: 2, Mask: 1<<32 - 1, Value: unix.SO_PEERCRED}} }

// peer answers getsockopt(2) for who is at the other end of a socket: the kernel knows the process, and the supervisor
// whom that runs as. Of one that has ended the kernel says that it was root's.
func peer(t *task) answer {
	if t.fd(1) != unix.SOL_SOCKET {
		return proceed()
	}
	socket, err := t.duplicate(t.fd(0))
	if err != nil {
		return proceed()
	}
	defer func() { _ = unix.Close(socket) }()
	cred, err := unix.GetsockoptUcred(socket, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || cred.Pid <= 0 {
		return proceed()
	}
	other := &task{Supervisor: t.Supervisor, dir: t.procDir(uint32(cred.Pid))}
	number, err := strconv.ParseUint(other.number(), 10, 31)
	if err != nil {
		return proceed()
	}
	who := other.identity()
	return t.option(wide(uint32(number), who.uid.effective, who.gid.effective))
}

// duplicate opens what the task has open, in this process.
func (t *task) duplicate(fd int) (int, error) {
	process, err := unix.PidfdOpen(int(t.pid), unix.PIDFD_THREAD)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.9: for the first thread of a process only
		process, err = unix.PidfdOpen(int(t.pid), 0)
	}
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(process) }()
	return unix.PidfdGetfd(process, fd, 0)
}

// option gives the task the value of an option, as much as there is room for.
func (t *task) option(value []byte) answer {
	var size [4]byte
	if err := t.read(t.args[4], size[:]); err != nil {
		return failure(unix.EFAULT)
	}
	room := int32(binary.NativeEndian.Uint32(size[:]))
	if room < 0 {
		return failure(unix.EINVAL)
	}
	value = value[:min(int(room), len(value))]
	binary.NativeEndian.PutUint32(size[:], uint32(len(value)))
	if t.write(t.args[3], value) != nil || t.write(t.args[4], size[:]) != nil {
		return failure(unix.EFAULT)
	}
	return result(0)
}

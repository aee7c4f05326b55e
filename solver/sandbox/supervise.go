//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/solver/sandbox/supervisor"
)

// supervision passes the calls of a command to a supervisor. The descriptor from which they come is born in
// the child, with its filter, and is sent through a socket.
type supervision struct {
	supervisor   *supervisor.Supervisor
	ours, theirs control
	served       chan struct{}
}

// supervise starts to serve the calls of the command that is about to be forked.
func supervise(s *supervisor.Supervisor) (*supervision, error) {
	v := &supervision{supervisor: s, served: make(chan struct{})}
	var err error
	if v.ours, v.theirs, err = controlSockets(); err != nil {
		return nil, err
	}
	go func() {
		defer close(v.served)
		if listener, err := v.ours.receiveFile(); err == nil {
			s.Serve(listener)
		}
	}()
	return v, nil
}

// end waits until the last call has been served.
func (v *supervision) end() {
	v.theirs.Close()
	<-v.served
	v.ours.Close()
}

// receiveFile waits for a message that is only a file.
func (c control) receiveFile() (*os.File, error) {
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(c.Fd()), make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	parts, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(parts) == 0 {
		return nil, os.ErrClosed
	}
	fds, err := unix.ParseUnixRights(&parts[0])
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), "listener"), nil
}

// install appends the calls that install a filter and send its listener.
func (v *supervision) install(l *callList, filter uintptr) {
	rights := unix.UnixRights(0)
	fd := (*int32)(unsafe.Pointer(&rights[unix.CmsgLen(0)]))
	some := []byte{0}
	message := &unix.Msghdr{
		Iov: &unix.Iovec{Base: &some[0], Len: 1}, Iovlen: 1, Control: &rights[0], Controllen: uint64(len(rights)),
	}
	l.keep = append(l.keep, rights, message, message.Iov)
	l.add("installing the seccomp filter", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, listenerFlags(), filter).store = fd
	l.add("passing system calls on", unix.SYS_SENDMSG, v.theirs.Fd(), uintptr(unsafe.Pointer(message)), unix.MSG_NOSIGNAL)
}

// listenerFlags are the flags of a filter whose calls are passed on. A call that has been received is not
// to be interrupted, since Linux 5.19: half of it may have been done.
func listenerFlags() uintptr {
	const uninterrupted = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uninterrupted, 0)
	if errno == unix.EFAULT { // there is no filter at 0, but the flags are known
		return uninterrupted
	}
	return unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
}

// canListen says why calls cannot be passed to a supervisor on this machine, if they cannot.
func canListen() error {
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, 0)
	if errno != unix.EFAULT {
		return fmt.Errorf("passing system calls to a supervisor: %w", errno)
	}
	return nil
}

// filters are the filters of commands. They are made once for each set of calls that are passed on.
type filters struct {
	mu   sync.Mutex
	made map[string][]bpf.RawInstruction
}

// get returns the filter for commands whose calls go to s, which may be nil.
func (f *filters) get(s *supervisor.Supervisor) ([]bpf.RawInstruction, error) {
	var calls []supervisor.Call
	var names strings.Builder
	if s != nil {
		calls = s.Calls()
	}
	for _, c := range calls {
		fmt.Fprint(&names, c.Name, c.Where, " ")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.made[names.String()]; ok {
		return p, nil
	}
	p, err := defaultFilter(capabilityNames(defaultCapabilities), calls)
	if err != nil {
		return nil, err
	}
	if f.made == nil {
		f.made = map[string][]bpf.RawInstruction{}
	}
	f.made[names.String()] = p
	return p, nil
}

// procDir is the directory in /proc of the thread that this process knows as pid. Where /proc belongs to an
// outer pid namespace it has another number there.
func (h *Host) procDir(pid uint32) string {
	if h.Proc {
		return "/proc/" + strconv.FormatUint(uint64(pid), 10)
	}
	fd, err := unix.PidfdOpen(int(pid), unix.PIDFD_THREAD)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.9: for the first thread of a process only
		fd, err = unix.PidfdOpen(int(pid), 0)
	}
	if err != nil {
		return "/proc/0"
	}
	pidfd := os.NewFile(uintptr(fd), "pidfd")
	defer pidfd.Close()
	outer, err := procPid(pidfd)
	if err != nil {
		return "/proc/0"
	}
	return "/proc/" + strconv.Itoa(outer)
}

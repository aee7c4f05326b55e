//go:build linux

package sandbox

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// message is what L0 and L1 say to each other. One field is set.
type message struct {
	// Host is what L1 is to be; sent once, first.
	Host *Host `json:"host,omitempty"`
	// Refused is why L1 cannot be that. It or Entered is the answer of L1.
	Refused string `json:"refused,omitempty"`
	Entered bool   `json:"entered,omitempty"`
	// Signal is a signal that L0 received.
	Signal int `json:"signal,omitempty"`
	// Start asks L0 to run a program, whose standard streams come with the message; Stop asks to end the
	// one with that number, and Ended says that it has ended.
	Start *outsideProgram `json:"start,omitempty"`
	Stop  int             `json:"stop,omitempty"`
	Ended *outsideStatus  `json:"ended,omitempty"`
}

// maxMessage bounds a message in bytes. A map has at most 340 lines, a command line is refused above it.
const maxMessage = 128 << 10

// control is one end of the socket between L0 and L1. Messages keep their bounds on it.
type control struct {
	*os.File
}

func controlSockets() (ours, theirs control, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ours, theirs, fmt.Errorf("making a socket: %w", err)
	}
	return control{os.NewFile(uintptr(fds[0]), "control")}, control{os.NewFile(uintptr(fds[1]), "control")}, nil
}

// send sends a message, and open files with it.
func (c control) send(m message, files ...*os.File) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(int(c.Fd()), b, rights, nil, unix.MSG_NOSIGNAL)
}

// receive waits for a message. Files that came with it are for the caller to close.
func (c control) receive() (m message, files []*os.File, err error) {
	b, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(3*4))
	var n, r int
	for {
		n, r, _, _, err = unix.Recvmsg(int(c.Fd()), b, rights, unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return m, nil, err
	}
	if n == 0 {
		return m, nil, os.ErrClosed
	}
	parts, err := unix.ParseSocketControlMessage(rights[:r])
	if err != nil {
		return m, nil, err
	}
	for _, p := range parts {
		fds, err := unix.ParseUnixRights(&p)
		if err != nil {
			return m, nil, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return m, files, json.Unmarshal(b[:n], &m)
}

package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/seed-298d225e/builder/ownership"
)

// Spec says what to run and in what surroundings.
type Spec struct {
	// Root is the directory that becomes /: a mount that is attached nowhere, or a plain directory.
	Root *os.File
	// Args is the command; Args[0] is looked up in the PATH of Env if it has no slash.
	Args []string
	// Env holds NAME=value pairs, all that the command gets.
	Env []string
	// Dir is the absolute working directory; it is made if it is missing.
	Dir      string
	User     User
	Hostname string
	Mounts   []Mount
	Network  Network
	Limits   Limits
	// Owners, if not nil, is called when the command has ended if it left links or special files to users that
	// the machine does not have. It asks owner for whose the one at a path in Root is.
	Owners func(ctx context.Context, owner func(path string) (ownership.Record, bool)) error
	// Insecure leaves the command all capabilities and system calls of the builder's user namespace.
	Insecure       bool
	Stdout, Stderr io.Writer
}

// User is whom a command runs as.
type User struct {
	UID, GID uint32
	// Groups are the supplementary ones.
	Groups []uint32
}

// Mount is something the command sees at Target, which is made for that time if it is missing.
type Mount struct {
	// Target is absolute.
	Target string
	// Source is a file or directory of this machine, opened with O_PATH. If it is nil the mount is an
	// empty tmpfs of Size bytes (0: the kernel's default) with mode Mode.
	Source   *os.File
	ReadOnly bool
	// Furniture: it is there in every step, /etc/hosts say.
	Furniture bool
	// Secret: the source is a file whose content must not get onto a disk.
	Secret bool
	Size   int64
	Mode   uint32
}

// Network is what a command can reach.
type Network int

// The networks.
const (
	// NetworkPrivate is shared by all commands of this process and reaches out, but not to the
	// machine's own loopback device; where there is no program to provide it, it is NetworkHost.
	NetworkPrivate Network = iota
	// NetworkNone has a loopback device only.
	NetworkNone
	// NetworkHost is that of this process.
	NetworkHost
)

// Limits bounds what a command may use; zero values mean no limit of ours.
type Limits struct {
	// ShmSize is the size of /dev/shm in bytes; 0 means 64 MiB.
	ShmSize   int64
	Rlimits   []Rlimit
	Resources Resources
	// CgroupParent is the control group in which that of the command is made: a path below that of this
	// process, or an absolute one in the hierarchy. Empty is that of this process.
	CgroupParent string
}

// Rlimit is a limit of setrlimit(2).
type Rlimit struct {
	Resource   int
	Soft, Hard uint64
}

// ExitError says that the command ran and did not succeed.
type ExitError struct {
	// Code is the exit status, Signal the signal that ended the command instead, or 0.
	Code, Signal int
	// Limit, if not empty, says which limit the command has met.
	Limit string
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("did not complete successfully: exit code: %d", e.Code)
	if e.Signal != 0 {
		text = fmt.Sprintf("did not complete successfully: killed by signal %d", e.Signal)
	}
	if e.Limit != "" {
		text += "; " + e.Limit
	}
	return text
}

// StartError says that the command could not be started, which is the fault of the image or of the
// instruction and not of the machine.
type StartError struct {
	// What says what was to be done, Err why that is not possible.
	What string
	Err  error
}

func (e *StartError) Error() string { return e.What + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

package solver

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Op is what a vertex does. The set is closed: Scratch, Image, Local, HTTP, Git and Inline are sources;
// Exec, Copy and Mkdir add one layer to their first input.
type Op interface {
	// describe writes everything the result depends on, except the inputs, to t.
	describe(t *Text)
}

// Scratch is the empty tree.
type Scratch struct{}

// Image is the tree of an image that a name was resolved to.
type Image struct {
	// Ref is the full name with the digest of the manifest for the vertex's platform.
	Ref string
	// Digest is that digest.
	Digest v1.Hash
	// DiffIDs are the image's layers, lowest first; all that matters to a result.
	DiffIDs []v1.Hash
	// Layout, if not empty, is the directory of the OCI layout that holds the image.
	Layout string
}

// Local is a directory of this machine: the build context or a named one.
type Local struct {
	// Name is what the Dockerfile calls it: "context" for the build context.
	Name string
	// Dir is its absolute path.
	Dir string
	// Exclude holds the patterns of the ignore file.
	Exclude []string
	// Epoch, if not nil, is the time in seconds since 1970 that all files have, whatever the system says. It is
	// part of what the tree holds.
	Epoch *int64
}

// HTTP is a tree of one file fetched from a URL.
type HTTP struct {
	URL string
	// Filename is the name of the file in the tree.
	Filename string
	// Checksum, if not zero, is what the content must hash to.
	Checksum v1.Hash
}

// Git is the work tree of a commit.
type Git struct {
	Remote string
	// Ref is what was asked for: a branch, a tag or a commit; for people and for fetching.
	Ref string
	// Commit is what Ref was resolved to: a full object name.
	Commit string
	// Subdir, if not empty, is the directory of the repository that becomes the root of the tree.
	Subdir         string
	KeepGitDir     bool
	SkipSubmodules bool
	// CommitTime gives all files the time of the commit instead of that of the checkout.
	CommitTime bool
}

// Inline is a tree of files whose content stands in the Dockerfile.
type Inline struct {
	Files []InlineFile
}

// InlineFile is one file of an Inline tree.
type InlineFile struct {
	// Path is relative to the root of the tree.
	Path string
	// Mode holds permission bits.
	Mode uint32
	Data []byte
}

// Exec runs a command on its first input.
type Exec struct {
	Args []string
	// Env holds NAME=value pairs in the order in which they were set.
	Env []string
	// Proxy holds NAME=value pairs that the command sees but that are not part of the key.
	Proxy []string
	// Dir is the absolute working directory.
	Dir string
	// User is as the USER instruction has it, to be looked up in the tree.
	User     string
	Hostname string
	Hosts    []HostEntry
	Network  Network
	// Insecure gives the command all the capabilities the builder has.
	Insecure bool
	Mounts   []Mount
	Limits   Limits
}

// Network is what a command can reach.
type Network string

// The networks a command can have.
const (
	// NetworkDefault is a private network that reaches out, where the machine can give one, else the host's.
	NetworkDefault Network = "default"
	// NetworkNone is a loopback device only.
	NetworkNone Network = "none"
	// NetworkHost is the network of the builder.
	NetworkHost Network = "host"
)

// HostEntry is a line of /etc/hosts.
type HostEntry struct {
	Name, IP string
}

// Limits bounds what a command may use. Zero means no limit of ours.
type Limits struct {
	// ShmSize is the size of /dev/shm in bytes; 0 means 64 MiB.
	ShmSize int64
	Ulimits []Ulimit
	// CgroupParent is the cgroup under which the command's is made.
	CgroupParent string
	// Memory is in bytes, MemorySwap too (memory and swap together; -1 unlimited).
	Memory, MemorySwap int64
	// CPUPeriod and CPUQuota are in microseconds, CPUShares relative to 1024.
	CPUShares, CPUPeriod, CPUQuota int64
	CpusetCpus, CpusetMems         string
	// Pids is how many processes may exist at once.
	Pids int64
}

// Ulimit is a resource limit by its ulimit name, such as "nofile".
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// MountType is a kind of mount of a RUN instruction.
type MountType string

// The kinds of mounts.
const (
	MountBind   MountType = "bind"
	MountCache  MountType = "cache"
	MountTmpfs  MountType = "tmpfs"
	MountSecret MountType = "secret"
	MountSSH    MountType = "ssh"
)

// Sharing says who else may use a cache mount at the same time.
type Sharing string

// The ways to share a cache mount.
const (
	SharingShared  Sharing = "shared"
	SharingPrivate Sharing = "private"
	SharingLocked  Sharing = "locked"
)

// Mount is a file system that a command sees at Target while it runs.
type Mount struct {
	Type MountType
	// Target is absolute and clean. It may be empty for a secret that is only an environment variable.
	Target string
	// Input is the index of the vertex's input mounted from; 0 means none, because nothing is mounted
	// from the tree that is built upon.
	Input int
	// Source is the absolute path in the input, or in the cache directory.
	Source   string
	ReadOnly bool
	// ID names a cache directory, a secret or an SSH agent.
	ID      string
	Sharing Sharing
	// Env is the variable that a secret is put into.
	Env      string
	Required bool
	// Size of a tmpfs in bytes; 0 is the kernel's default.
	Size int64
	// Mode, UID and GID are those of a cache directory when it is made, of a secret's file or of a
	// socket; nil means the default of its kind.
	Mode, UID, GID *uint32
}

// Copy adds files from other inputs to its first input.
type Copy struct {
	Sources []CopySource
	// Dest is absolute. A trailing slash or "/." says that it is a directory.
	Dest string
	// Owner is USER[:GROUP] as --chown has it; empty keeps the owner of the source.
	Owner string
	// Mode is as --chmod has it, octal or symbolic; empty keeps the mode of the source.
	Mode string
	// Link makes the layer without looking at the first input, over which it is laid.
	Link bool
}

// CopySource is what one argument of COPY or ADD names.
type CopySource struct {
	// Input is the index of the vertex's input that is copied from.
	Input int
	// Path is absolute in that input.
	Path string
	// Wildcards expands Path as a pattern; that nothing fits is an error only if Path is not one.
	Wildcards bool
	// Contents copies what is in a directory rather than the directory.
	Contents bool
	// Follow follows a symbolic link that Path itself is.
	Follow bool
	// Include, if not empty, are patterns below Path of what is to be copied, with its parents.
	Include []string
	// Exclude are patterns below Path of what is not.
	Exclude []string
	// Required are paths that must exist.
	Required []string
	// Unpack extracts a file that is a tar archive, compressed or not.
	Unpack bool
}

// Mkdir makes a directory and its missing parents on its first input.
type Mkdir struct {
	// Path is absolute and clean.
	Path string
	// Mode holds permission bits.
	Mode uint32
	// Owner is USER[:GROUP] to be looked up in the tree; empty is root.
	Owner string
}

//go:build linux

package main

import (
	"fmt"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// places are the directories of this machine that a container is made of.
type places struct {
	// root is its root file system, work a writable volume, suite the directory of the suite.
	root, work, builder, suite string
}

// container is what makes an environment differ from what docker run gives.
type container struct {
	uid uint32
	// capabilities are those of its root; nil means Docker's.
	capabilities []string
	// unconfined: without a seccomp filter; open: nothing of /proc and /sys is hidden or read-only.
	unconfined, open bool
	noNewPrivileges  bool
	readOnly         bool
	// hostUsers is the id outside that root is mapped to, with the 65535 that follow; 0 is no user namespace.
	hostUsers uint32
}

// containers are the environments that are containers, by name.
func containers() map[string]container {
	return map[string]container{
		"E3": {capabilities: allCapabilities(), unconfined: true, open: true},
		"E4": {unconfined: true},
		"E5": {uid: 1000, unconfined: true},
		"E6": {},
		"E7": {uid: 1000, capabilities: []string{}, noNewPrivileges: true, readOnly: true},
		"E8": {capabilities: append(dockerCapabilities(), "CAP_SYS_ADMIN"), hostUsers: 200000},
	}
}

// config makes the configuration of an environment.
func config(name string, at places) (*specs.Spec, error) {
	c, ok := containers()[name]
	if !ok {
		return nil, fmt.Errorf("there is no environment %q among the containers", name)
	}
	s := &specs.Spec{
		Version: "1.0.2", // what the runc of Debian 12 knows
		Root:    &specs.Root{Path: at.root, Readonly: c.readOnly},
		Process: c.process(),
		Mounts:  mounts(at),
		Linux: &specs.Linux{
			// The network is that of the machine, so that the registry and the mirrors can be reached.
			Namespaces:  []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}},
			CgroupsPath: "/builder-environments/" + name,
			Resources:   &specs.LinuxResources{Devices: devices()},
		},
	}
	if !c.open {
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = maskedPaths(), readOnlyPaths()
	}
	if c.hostUsers != 0 {
		ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: c.hostUsers, Size: 65536}}
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
		bindSys(s.Mounts)
	}
	if c.unconfined {
		return s, nil
	}
	var err error
	s.Linux.Seccomp, err = seccomp.GetDefaultProfile(s)
	return s, err
}

// bindSys shows the machine's /sys, because in a user namespace that has no network of its own there is no other.
func bindSys(mounts []specs.Mount) {
	for i, m := range mounts {
		if m.Type == "sysfs" {
			mounts[i].Type, mounts[i].Source, mounts[i].Options = "bind", "/sys", append(m.Options, "rbind")
		}
	}
}

func (c container) process() *specs.Process {
	caps := c.capabilities
	if caps == nil {
		caps = dockerCapabilities()
	}
	p := &specs.Process{
		User:            specs.User{UID: c.uid, GID: c.uid},
		Args:            []string{"/suite/suite.sh"},
		Cwd:             "/work",
		Env:             []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/work/home"},
		NoNewPrivileges: c.noNewPrivileges,
		Capabilities:    &specs.LinuxCapabilities{Bounding: caps},
	}
	if c.uid == 0 { // an ordinary user has them in the bounding set only
		p.Capabilities.Effective, p.Capabilities.Permitted = caps, caps
	}
	return p
}

// mounts are Docker's, and the volumes that the suite needs.
func mounts(at places) []specs.Mount {
	system := []string{"nosuid", "noexec", "nodev"}
	bind := func(from, to string, options ...string) specs.Mount {
		return specs.Mount{Source: from, Destination: to, Type: "bind", Options: append([]string{"rbind"}, options...)}
	}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: system},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: append([]string{"mode=1777", "size=65536k"}, system...)},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: system},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append([]string{"ro"}, system...)},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: append([]string{"ro"}, system...)},
		bind("/etc/resolv.conf", "/etc/resolv.conf", "ro"),
		bind(at.builder, "/usr/local/bin/builder", "ro"),
		bind(at.suite, "/suite", "ro"),
		bind(at.work, "/work", "rw"),
		{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}},
	}
}

// devices are the rules of Docker: nodes can be made, but only those of every container can be used.
func devices() []specs.LinuxDeviceCgroup {
	return []specs.LinuxDeviceCgroup{
		{Allow: false, Access: "rwm"},
		{Allow: true, Type: "c", Access: "m"},
		{Allow: true, Type: "b", Access: "m"},
	}
}

// dockerCapabilities are those that docker run gives to root.
func dockerCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
}

// allCapabilities are those of docker run --privileged: all that this machine's root has.
func allCapabilities() []string {
	names := []string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
		"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
		"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
		"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
		"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
		"CHECKPOINT_RESTORE",
	}
	var caps []string
	for n, name := range names { // in the order of their numbers
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0); err == nil && has == 1 {
			caps = append(caps, "CAP_"+name)
		}
	}
	return caps
}

// maskedPaths and readOnlyPaths are those of Docker.
func maskedPaths() []string {
	return []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
		"/sys/devices/virtual/powercap",
	}
}

func readOnlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

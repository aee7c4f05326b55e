//go:build linux

package sandbox

import "golang.org/x/sys/unix"

// defaultCapabilities are the fourteen that Docker leaves to a container's root.
const defaultCapabilities capabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FSETID |
	1<<unix.CAP_FOWNER | 1<<unix.CAP_MKNOD | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID |
	1<<unix.CAP_SETFCAP | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SYS_CHROOT |
	1<<unix.CAP_KILL | 1<<unix.CAP_AUDIT_WRITE

// allCapabilities are all that there are.
const allCapabilities capabilities = 1<<(unix.CAP_LAST_CAP+1) - 1

// capabilities is a set with a bit for each.
type capabilities uint64

func (c capabilities) has(n int) bool { return c&(1<<n) != 0 }

// permittedCapabilities are those that this process may use.
func permittedCapabilities() capabilities {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0
	}
	return capabilities(data[0].Permitted) | capabilities(data[1].Permitted)<<32
}

// capabilityNames returns the names that seccomp profiles use, of those that they mention.
func capabilityNames(c capabilities) []string {
	all := map[int]string{
		unix.CAP_BPF: "CAP_BPF", unix.CAP_DAC_READ_SEARCH: "CAP_DAC_READ_SEARCH", unix.CAP_PERFMON: "CAP_PERFMON",
		unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN", unix.CAP_SYS_BOOT: "CAP_SYS_BOOT", unix.CAP_SYS_CHROOT: "CAP_SYS_CHROOT",
		unix.CAP_SYS_MODULE: "CAP_SYS_MODULE", unix.CAP_SYS_NICE: "CAP_SYS_NICE", unix.CAP_SYS_PACCT: "CAP_SYS_PACCT",
		unix.CAP_SYS_PTRACE: "CAP_SYS_PTRACE", unix.CAP_SYS_RAWIO: "CAP_SYS_RAWIO", unix.CAP_SYS_TIME: "CAP_SYS_TIME",
		unix.CAP_SYS_TTY_CONFIG: "CAP_SYS_TTY_CONFIG", unix.CAP_SYSLOG: "CAP_SYSLOG",
	}
	var names []string
	for n, name := range all {
		if c.has(n) {
			names = append(names, name)
		}
	}
	return names
}

//go:build linux

package supervisor

import "slices"

// machineNames are the files of /proc about the machine that a command may read.
func machineNames() []string {
	return []string{
		"cpuinfo", "devices", "filesystems", "loadavg", "meminfo", "stat", "swaps", "uptime", "version", "vmstat",
		"sys/fs/file-max", "sys/fs/inotify/max_user_instances", "sys/fs/inotify/max_user_watches", "sys/fs/nr_open",
		"sys/fs/pipe-max-size", "sys/kernel/cap_last_cap", "sys/kernel/hostname", "sys/kernel/ngroups_max",
		"sys/kernel/osrelease", "sys/kernel/ostype", "sys/kernel/overflowgid", "sys/kernel/overflowuid",
		"sys/kernel/pid_max", "sys/kernel/random/boot_id", "sys/kernel/random/entropy_avail",
		"sys/kernel/random/uuid", "sys/kernel/shmmax", "sys/kernel/threads-max", "sys/kernel/version",
		"sys/net/core/somaxconn", "sys/net/ipv4/ip_local_port_range", "sys/vm/max_map_count",
		"sys/vm/overcommit_memory",
	}
}

// processNames are the files of a process's directory that a command may open.
func processNames() []string {
	return []string{
		"auxv", "cgroup", "cmdline", "comm", "cwd", "environ", "exe", "gid_map", "io", "limits", "maps", "mountinfo",
		"mounts", "oom_score", "oom_score_adj", "root", "schedstat", "setgroups", "smaps", "smaps_rollup", "stat",
		"statm", "status", "uid_map",
	}
}

// ProcNames returns the names below /proc that Files knows, apart from the descriptors of a process.
func ProcNames() []string {
	names := slices.Clone(machineNames())
	for _, name := range processNames() {
		names = append(names, "self/"+name)
	}
	return names
}

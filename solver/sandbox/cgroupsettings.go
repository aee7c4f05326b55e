//go:build linux

package sandbox

import (
	"cmp"
	"fmt"
	"strconv"
)

// setting is what is to be written to a file of a control group.
type setting struct {
	file string
	// value is what the parent has if it is empty.
	value string
	// optional: a kernel without swap accounting lacks the file.
	optional bool
}

// settings are those of the limits that a controller keeps, in the order in which they can be made.
func (r Resources) settings(version int, controller string) []setting {
	if version == 1 {
		return r.settings1(controller)
	}
	return r.settings2(controller)
}

// settings1 are those of cgroups of version 1, see the kernel's admin-guide/cgroup-v1.
func (r Resources) settings1(controller string) (list []setting) {
	switch controller {
	case "memory":
		if r.Memory > 0 {
			list = append(list, setting{file: "memory.limit_in_bytes", value: strconv.FormatInt(r.Memory, 10)})
		}
		if total := r.memoryAndSwap(); total != 0 {
			list = append(list, setting{"memory.memsw.limit_in_bytes", strconv.FormatInt(total, 10), true})
		}
	case "cpu":
		if r.CPUShares > 0 {
			list = append(list, setting{file: "cpu.shares", value: strconv.FormatInt(r.CPUShares, 10)})
		}
		if r.CPUPeriod > 0 {
			list = append(list, setting{file: "cpu.cfs_period_us", value: strconv.FormatInt(r.CPUPeriod, 10)})
		}
		if r.CPUQuota != 0 {
			list = append(list, setting{file: "cpu.cfs_quota_us", value: strconv.FormatInt(r.CPUQuota, 10)})
		}
	case "cpuset": // a group without both cannot be entered
		list = append(list, setting{file: "cpuset.cpus", value: r.CPUs}, setting{file: "cpuset.mems", value: r.Nodes})
	case "pids":
		list = append(list, setting{file: "pids.max", value: orMax(r.Pids)})
	}
	return list
}

// settings2 are those of cgroups of version 2, see the kernel's admin-guide/cgroup-v2.
func (r Resources) settings2(controller string) (list []setting) {
	switch controller {
	case "memory":
		if r.Memory > 0 {
			list = append(list, setting{file: "memory.max", value: strconv.FormatInt(r.Memory, 10)})
		}
		if total := r.memoryAndSwap(); total != 0 {
			swap := total
			if total > 0 {
				swap = total - r.Memory
			}
			list = append(list, setting{"memory.swap.max", orMax(swap), true})
		}
	case "cpu":
		if r.CPUShares > 0 {
			list = append(list, setting{file: "cpu.weight", value: strconv.FormatInt(weight(r.CPUShares), 10)})
		}
		if r.CPUQuota != 0 || r.CPUPeriod != 0 {
			list = append(list, setting{file: "cpu.max", value: fmt.Sprintf("%s %d", orMax(r.CPUQuota), cmp.Or(r.CPUPeriod, defaultPeriod))})
		}
	case "cpuset":
		if r.CPUs != "" {
			list = append(list, setting{file: "cpuset.cpus", value: r.CPUs})
		}
		if r.Nodes != "" {
			list = append(list, setting{file: "cpuset.mems", value: r.Nodes})
		}
	case "pids":
		list = append(list, setting{file: "pids.max", value: orMax(r.Pids)})
	}
	return list
}

// memoryAndSwap is the limit of both together. As with docker, a limit of memory alone allows as much swap again.
func (r Resources) memoryAndSwap() int64 {
	if r.MemorySwap == 0 && r.Memory > 0 {
		return 2 * r.Memory
	}
	return r.MemorySwap
}

// defaultPeriod is that of the kernel, in microseconds.
const defaultPeriod = 100_000

// orMax writes a number of which one that is not above zero is no limit.
func orMax(n int64) string {
	if n <= 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

// weight maps shares, 2 to 262144, to weights, 1 to 10000, as container runtimes do.
func weight(shares int64) int64 {
	shares = min(max(shares, 2), 262144)
	return 1 + (shares-2)*9999/262142
}

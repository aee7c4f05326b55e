//go:build linux

package sandbox

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestParseCgroups(t *testing.T) {
	const mountinfo = `30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 /elsewhere /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
`
	const groups = `4:pids:/user
3:memory:/docker/ab/cd
2:cpu,cpuacct:/one
0::/user.slice/session
`
	want := []cgroupMount{
		{1, []string{"rw", "cpu", "cpuacct"}, "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/one"},
		{1, []string{"rw", "memory"}, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/cd"},
		{1, []string{"rw", "pids"}, "/sys/fs/cgroup/pids", ""}, // our group is not below what is mounted
		{2, nil, "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/user.slice/session"},
	}
	if got := parseCgroups(groups, mountinfo); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSettings(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		name       string
		r          Resources
		version    int
		controller string
		want       []setting
	}{
		{"memory brings as much swap", Resources{Memory: 64 * mib}, 1, "memory", []setting{
			{file: "memory.limit_in_bytes", value: "67108864"}, {"memory.memsw.limit_in_bytes", "134217728", true},
		}},
		{"swap is counted apart in version 2", Resources{Memory: 64 * mib, MemorySwap: 96 * mib}, 2, "memory", []setting{
			{file: "memory.max", value: "67108864"}, {"memory.swap.max", "33554432", true},
		}},
		{"swap without limit", Resources{Memory: mib, MemorySwap: -1}, 2, "memory", []setting{
			{file: "memory.max", value: "1048576"}, {"memory.swap.max", "max", true},
		}},
		{"quota of the default period", Resources{CPUQuota: 50_000}, 2, "cpu", []setting{{file: "cpu.max", value: "50000 100000"}}},
		{"shares", Resources{CPUShares: 1024}, 2, "cpu", []setting{{file: "cpu.weight", value: "39"}}},
		{"quota", Resources{CPUQuota: 50_000, CPUPeriod: 20_000}, 1, "cpu", []setting{
			{file: "cpu.cfs_period_us", value: "20000"}, {file: "cpu.cfs_quota_us", value: "50000"},
		}},
		{"memory nodes come from above", Resources{CPUs: "0-1"}, 1, "cpuset", []setting{
			{file: "cpuset.cpus", value: "0-1"}, {file: "cpuset.mems"},
		}},
		{"processes", Resources{Pids: 20}, 2, "pids", []setting{{file: "pids.max", value: "20"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.r.settings(test.version, test.controller); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestKeyedNumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.events")
	if err := os.WriteFile(path, []byte("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, ok := keyedNumber(path, "oom_kill"); n != 2 || !ok {
		t.Errorf("got %d, %t, want 2", n, ok)
	}
	if _, ok := keyedNumber(path, "nothing"); ok {
		t.Error("a key that is not there was found")
	}
}

// The kernel's answers differ from machine to machine, but every question gets one, and a no has a reason.
func TestProbes(t *testing.T) {
	for _, p := range Probes() {
		if p.Name == "" || p.Found == "" {
			t.Errorf("%+v says nothing", p)
		}
		if p.OK && (p.Fix != "" || p.Errno != "") {
			t.Errorf("%+v: a yes needs no fix", p)
		}
	}
}

// A parent that the user has named must be there; no limit is lost in silence.
func TestMissingCgroupParent(t *testing.T) {
	h := &Host{}
	g, err := h.makeGroup(&Limits{Resources: Resources{Pids: 5}, CgroupParent: "/no-such-parent"})
	if err == nil {
		g.remove()
		t.Error("a group was made below a parent that is not there")
	}
}

//go:build linux

package sandbox

import (
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Of each resource there is one limit, so that none is raised after it was lowered.
func TestStartingLimits(t *testing.T) {
	core := Rlimit{Resource: unix.RLIMIT_CORE}
	files := Rlimit{unix.RLIMIT_NOFILE, 1024, 4096}
	for _, c := range []struct {
		name  string
		asked []Rlimit
		lower []Rlimit
		want  []Rlimit
	}{
		{"nothing is asked for", nil, nil, []Rlimit{core, files}},
		{
			"the lower of two",
			[]Rlimit{{unix.RLIMIT_NPROC, 50, 900}},
			[]Rlimit{{unix.RLIMIT_NPROC, 500, 500}},
			[]Rlimit{core, files, {unix.RLIMIT_NPROC, 50, 500}},
		},
		{
			"another resource is lowered",
			[]Rlimit{{unix.RLIMIT_NPROC, 50, 60}},
			[]Rlimit{{unix.RLIMIT_DATA, 7, 7}},
			[]Rlimit{core, files, {unix.RLIMIT_NPROC, 50, 60}, {unix.RLIMIT_DATA, 7, 7}},
		},
		{
			"what is asked for is above the default",
			[]Rlimit{{unix.RLIMIT_CORE, 5, 6}, {unix.RLIMIT_NOFILE, 2000, 8000}},
			nil,
			[]Rlimit{{unix.RLIMIT_CORE, 5, 6}, {unix.RLIMIT_NOFILE, 2000, 8000}},
		},
		{
			"the last of two",
			[]Rlimit{{unix.RLIMIT_STACK, 1, 1}, {unix.RLIMIT_STACK, 2, 2}},
			nil,
			[]Rlimit{core, files, {unix.RLIMIT_STACK, 2, 2}},
		},
	} {
		l := Limits{Rlimits: c.asked, Resources: Resources{Pids: -1}}
		for _, r := range c.lower {
			l.lower(r)
		}
		if got := l.starting(&Host{Rung: RungUserns, Files: files}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// On the rung chroot the kernel would count what a user has on the whole machine: there is no substitute for a limit
// on processes, and the user is told.
func TestNoSubstituteForProcesses(t *testing.T) {
	r := Resources{Pids: 100, Memory: 1 << 20}
	for rung, want := range map[Rung]bool{RungUserns: true, RungSingle: true, RungChroot: false} {
		if _, ok := r.substitute("pids", rung); ok != want {
			t.Errorf("%s: a limit on the processes of each user: %v, want %v", rung, ok, want)
		}
		if limit, ok := r.substitute("memory", rung); !ok || limit.Soft != 1<<20 {
			t.Errorf("%s: got %v, %v as a limit on memory", rung, limit, ok)
		}
		h := &Host{Rung: rung}
		h.groups.mounts = []cgroupMount{} // this machine has none
		if got := h.Unbounded(r); strings.Contains(got, "nothing bounds the processes") == want {
			t.Errorf("%s: %s", rung, got)
		}
	}
}

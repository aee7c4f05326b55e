//go:build linux

package sandbox

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A command gets a limit of its processes unless somebody has set another, or none.
func TestDefaultProcesses(t *testing.T) {
	for _, c := range []struct {
		name   string
		rung   Rung
		limits Limits
		want   bool
	}{
		{"nothing is said", RungUserns, Limits{}, true},
		{"with one user", RungSingle, Limits{}, true},
		{"no limit", RungUserns, Limits{Resources: Resources{Pids: -1}}, false},
		{"another limit", RungUserns, Limits{Resources: Resources{Pids: 10}}, false},
		{"another ulimit", RungUserns, Limits{Rlimits: []Rlimit{{Resource: unix.RLIMIT_NPROC}}}, false},
		{"without namespaces", RungChroot, Limits{}, false},
	} {
		limit, ok := c.limits.processes(c.rung)
		if ok != c.want || ok && (limit.Soft == 0 || limit.Soft > defaultProcesses || limit.Hard != limit.Soft) {
			t.Errorf("%s: got %+v, %v, want one: %v", c.name, limit, ok, c.want)
		}
	}
}

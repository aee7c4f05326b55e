//go:build linux

package ops

import (
	"sync"

	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// notices are what the user is told once in a build.
type notices struct {
	network, resources sync.Once
}

// tell says where the surroundings of commands are not those that were asked for.
func (r *run) tell() {
	host := r.worker.Host
	if host.Rung == sandbox.RungNone {
		return
	}
	if r.op.Network == solver.NetworkDefault {
		r.worker.told.network.Do(func() {
			if ok, why := host.Private(); !ok {
				r.notice("commands share the network of this machine: " + why + "; to have it so without this notice: --network=host")
			}
		})
	}
	if r.op.Limits.CgroupParent == "" {
		r.worker.told.resources.Do(func() {
			if lost := host.Unbounded(r.worker.Resources); lost != "" {
				r.notice(lost)
			}
		})
	}
}

func (r *run) notice(text string) { r.emit(solver.Event{Action: solver.ActionNotice, Text: text}) }

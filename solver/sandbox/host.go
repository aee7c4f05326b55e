package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// Rung is how much of a sandbox the machine allows, see the package comment.
type Rung string

// The rungs, from the best down.
const (
	// RungUserns: user, mount and pid namespaces with many ids.
	RungUserns Rung = "userns"
	// RungSingle: the same with one id only; owners are recorded instead of set.
	RungSingle Rung = "single"
	// RungChroot: no namespaces and no mounts, but root with the right to chroot.
	RungChroot Rung = "chroot"
	// RungNone: commands cannot be run.
	RungNone Rung = "none"
)

// Rungs lists all rungs from the best down.
func Rungs() []Rung { return []Rung{RungUserns, RungSingle, RungChroot, RungNone} }

// ParseRung returns the rung called name.
func ParseRung(name string) (Rung, error) {
	if r := Rung(name); slices.Contains(Rungs(), r) {
		return r, nil
	}
	return "", fmt.Errorf("unknown sandbox %q: it is one of auto, %s, %s, %s, %s", name, RungUserns, RungSingle, RungChroot, RungNone)
}

// Refusal says why a rung cannot be had.
type Refusal struct {
	Rung Rung   `json:"rung"`
	Why  string `json:"why"`
	// Fix says what to change to have it; empty if nothing is known.
	Fix string `json:"fix,omitempty"`
}

// RungError says that commands cannot be run on this machine.
type RungError struct {
	// Refusals say why no rung can be had.
	Refusals []Refusal
}

func (e *RungError) Error() string {
	why := make([]string, len(e.Refusals))
	for i, r := range e.Refusals {
		why[i] = string(r.Rung) + ": " + r.Why
	}
	return "commands cannot be run on this machine (" + strings.Join(why, "; ") + ")"
}

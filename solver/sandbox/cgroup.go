//go:build linux

package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Resources bounds what a command and all that it starts may use together, by a control group; see
// cgroups(7). Zero means no limit.
type Resources struct {
	// Memory is in bytes. MemorySwap is memory and swap together, as docker has it; -1 is no limit.
	Memory, MemorySwap int64
	// CPUShares weighs the command against others; 1024 is what each has.
	CPUShares int64
	// CPUPeriod and CPUQuota, in microseconds: how much processor time may be used in each period. A
	// quota without a period is one of 100 ms.
	CPUPeriod, CPUQuota int64
	// CPUs and Nodes are lists such as 0-3,8 of processors and memory nodes.
	CPUs, Nodes string
	// Pids is how many processes and threads there may be; -1 is no limit, 0 is the default, which is one of each
	// user and needs no control group.
	Pids int64
}

// controllers are the parts of the kernel that r needs.
func (r Resources) controllers() []string {
	var list []string
	for name, needed := range map[string]bool{
		"memory": r.Memory != 0 || r.MemorySwap != 0,
		"cpu":    r.CPUShares != 0 || r.CPUPeriod != 0 || r.CPUQuota != 0,
		"cpuset": r.CPUs != "" || r.Nodes != "",
		"pids":   r.Pids > 0,
	} {
		if needed {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// substitute is the limit that comes nearest to what a controller would keep of r: of memory on each single process,
// of processes on each user; ok is false if there is none. On the rung chroot there is none of processes, see
// Limits.processes.
func (r Resources) substitute(controller string, rung Rung) (limit Rlimit, ok bool) {
	switch {
	case controller == "memory" && r.Memory > 0:
		return Rlimit{Resource: unix.RLIMIT_DATA, Soft: uint64(r.Memory), Hard: uint64(r.Memory)}, true
	case controller == "pids" && r.Pids > 0 && rung != RungChroot:
		return mostProcesses(uint64(r.Pids)), true
	}
	return limit, false
}

// Unbounded says which of the limits r cannot be kept for a command as a whole and why; "" if all can be.
func (h *Host) Unbounded(r Resources) string {
	var lost []string
	var why error
	for _, c := range r.controllers() {
		if _, err := h.groups.parent(h, c, ""); err != nil {
			lost, why = append(lost, c), err
		}
	}
	if len(lost) == 0 {
		return ""
	}
	text := fmt.Sprintf("the limits of %s are not kept: %v", strings.Join(lost, ", "), why)
	if slices.Contains(lost, "memory") && r.Memory > 0 {
		text += "; each process by itself gets no more memory than the limit"
	}
	switch _, bounded := r.substitute("pids", h.Rung); {
	case !slices.Contains(lost, "pids"):
	case bounded:
		text += "; each user of a command gets no more processes than the limit"
	default:
		text += "; nothing bounds the processes of a command on the rung chroot"
	}
	return text
}

// ProbeCgroups tells which limits can be kept, and where.
func (h *Host) ProbeCgroups() []Probe {
	var probes []Probe
	for _, c := range []string{"memory", "cpu", "cpuset", "pids"} {
		parent, err := h.groups.parent(h, c, "")
		found := ""
		if err == nil {
			found = "groups can be made in " + parent.dir
		}
		probes = append(probes, answer("limits of "+c, err, found, cgroupFix))
	}
	return probes
}

const cgroupFix = "start it in a control group of its own: systemd-run --user --scope -p Delegate=yes builder …; where the administrator has made one for this user: --cgroup-parent"

// group is the control group of one command: a directory in each hierarchy that is needed.
type group struct {
	limits Resources
	dirs   []string
	// procs are the files that a process joins the group by.
	procs []*os.File
	// kills is how often memory had run out before.
	kills int64
}

// makeGroup makes the group of a command with these limits. A limit whose controller is out of reach
// is kept by its substitute, unless the user named a parent.
func (h *Host) makeGroup(l *Limits) (made *group, err error) {
	g := &group{limits: l.Resources}
	defer func() {
		if err != nil {
			g.remove()
		}
	}()
	name := groupPrefix + rand.Text()
	for _, c := range h.groupControllers(l) {
		parent, err := h.groups.parent(h, c, l.CgroupParent)
		if err != nil && l.CgroupParent == "" {
			if substitute, ok := l.Resources.substitute(c, h.Rung); ok {
				l.lower(substitute)
			}
			continue
		}
		if err == nil {
			err = g.enter(parent, filepath.Join(parent.dir, name), c)
		}
		if err != nil {
			return nil, fmt.Errorf("limiting %s: %w", c, err)
		}
	}
	g.kills = g.outOfMemory()
	return g, nil
}

// groupControllers are those in whose hierarchies a command with these limits needs a group.
func (h *Host) groupControllers(l *Limits) []string {
	needed := l.Resources.controllers()
	if len(needed) == 0 && l.CgroupParent != "" {
		return []string{"memory"} // what the group is called, or limited by above, is the user's affair
	}
	return needed
}

// enter makes the directory of the group for a controller, unless another controller has done so, and sets the limits.
func (g *group) enter(parent cgroupDir, dir, controller string) error {
	if !slices.Contains(g.dirs, dir) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		g.dirs = append(g.dirs, dir)
		procs, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		g.procs = append(g.procs, procs)
	}
	for _, s := range g.limits.settings(parent.version, controller) {
		if s.value == "" {
			s.value = parent.read(s.file)
		}
		err := os.WriteFile(filepath.Join(dir, s.file), []byte(s.value), 0)
		if errors.Is(err, os.ErrNotExist) && s.optional {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remove removes the group, whose processes have ended.
func (g *group) remove() {
	for _, f := range g.procs {
		f.Close()
	}
	for _, dir := range g.dirs {
		for range 20 { // what was killed may not be gone yet
			if err := os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
				break
			}
			<-time.After(10 * time.Millisecond)
		}
	}
}

// explain says of a command that failed which limit it has met.
func (g *group) explain(err error) error {
	var exit *ExitError
	if !errors.As(err, &exit) {
		return err
	}
	switch {
	case g.refusedForks() > 0:
		exit.Limit = fmt.Sprintf("it was refused more than %d processes and threads", g.limits.Pids)
	case exit.Signal != 9 && exit.Code != 128+9, g.outOfMemory() == g.kills:
	case g.limits.Memory > 0 && len(g.dirs) > 0:
		exit.Limit = fmt.Sprintf("memory ran out: the limit is %d MiB", g.limits.Memory>>20)
	default:
		exit.Limit = "memory ran out on this machine, or in the container that builder runs in"
	}
	return err
}

// refusedForks counts the processes that the command was not allowed to make.
func (g *group) refusedForks() int64 {
	for _, dir := range g.dirs {
		if n, ok := keyedNumber(filepath.Join(dir, "pids.events"), "max"); ok {
			return n
		}
	}
	return 0
}

// outOfMemory counts the processes that were killed because memory ran out: in the group, or if it has no
// limit on memory, on the whole machine.
func (g *group) outOfMemory() int64 {
	for _, dir := range g.dirs {
		for _, file := range []string{"memory.events", "memory.oom_control"} {
			if n, ok := keyedNumber(filepath.Join(dir, file), "oom_kill"); ok {
				return n
			}
		}
	}
	n, _ := keyedNumber("/proc/vmstat", "oom_kill")
	return n
}

// keyedNumber reads a file of lines that are a key and a number.
func keyedNumber(path, key string) (n int64, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			_, err := fmt.Sscan(f[1], &n)
			return n, err == nil
		}
	}
	return 0, false
}

//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// groupPrefix begins the names of the groups that are made for commands, mainGroup is that of this program itself.
const (
	groupPrefix = "builder-step-"
	mainGroup   = "builder-main"
)

// cgroupDir is a directory in which groups can be made.
type cgroupDir struct {
	// dir is the path, version that of the hierarchy: 1 or 2.
	dir     string
	version int
}

func (d cgroupDir) read(file string) string {
	text, _ := os.ReadFile(filepath.Join(d.dir, file))
	return strings.TrimSpace(string(text))
}

// cgroupTree finds out, when it is first asked, where this process may make groups. The zero value is ready.
type cgroupTree struct {
	mu     sync.Mutex
	mounts []cgroupMount
	// ready are the directories in which groups can be made, or why not, by controller and named parent.
	ready map[[2]string]readyDir
}

type readyDir struct {
	dir cgroupDir
	err error
}

// parent returns the directory to make groups for a controller in: the group of this process, or the one
// that was named.
func (t *cgroupTree) parent(h *Host, controller, named string) (cgroupDir, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := [2]string{controller, named}
	r, known := t.ready[key]
	if !known {
		r.dir, r.err = t.prepare(h, controller, named)
		if t.ready == nil {
			t.ready = map[[2]string]readyDir{}
		}
		t.ready[key] = r
	}
	return r.dir, r.err
}

func (t *cgroupTree) prepare(h *Host, controller, named string) (cgroupDir, error) {
	if t.mounts == nil {
		var err error
		if t.mounts, err = cgroupMounts(); err != nil {
			return cgroupDir{}, err
		}
	}
	at, err := find(t.mounts, controller)
	if err != nil {
		return cgroupDir{}, err
	}
	dir := cgroupDir{at.own, at.version}
	if named != "" {
		dir.dir = filepath.Join(at.point, filepath.Clean("/"+named))
		if !filepath.IsAbs(named) {
			dir.dir = filepath.Join(at.own, filepath.Clean("/"+named))
		}
	}
	if err := unix.Access(dir.dir, unix.W_OK); err != nil {
		return cgroupDir{}, fmt.Errorf("no groups can be made in %s: %w", dir.dir, err)
	}
	if dir.version == 2 {
		if err := dir.enable(h, controller); err != nil {
			return cgroupDir{}, err
		}
	}
	dir.sweep()
	return dir, nil
}

// find returns the hierarchy of a controller.
func find(mounts []cgroupMount, controller string) (cgroupMount, error) {
	for _, m := range mounts {
		if m.has(controller) && m.own != "" {
			return m, nil
		}
	}
	return cgroupMount{}, fmt.Errorf("this machine has no control groups for %s, or does not show them here", controller)
}

// enable makes the controller count for the groups that are made in d. The kernel refuses that as long as
// processes are in d itself; this program's own are moved into a group beside those of commands.
func (d cgroupDir) enable(h *Host, controller string) error {
	if slices.Contains(strings.Fields(d.read("cgroup.subtree_control")), controller) {
		return nil
	}
	control := filepath.Join(d.dir, "cgroup.subtree_control")
	err := os.WriteFile(control, []byte("+"+controller), 0)
	if errors.Is(err, unix.EBUSY) {
		if err := h.leave(d); err != nil {
			return err
		}
		err = os.WriteFile(control, []byte("+"+controller), 0)
	}
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("other programs are in the control group %s too", d.dir)
	}
	return err
}

// leave moves all processes of this program that are in d, L0 among them, into a group below it.
func (h *Host) leave(d cgroupDir) error {
	main := filepath.Join(d.dir, mainGroup)
	if err := os.Mkdir(main, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	procs := filepath.Join(main, "cgroup.procs")
	for pid := range strings.FieldsSeq(d.read("cgroup.procs")) {
		if pid != "0" { // one of an outer pid namespace
			_ = os.WriteFile(procs, []byte(pid), 0) // it may have ended
		}
	}
	if h.outside == nil {
		return nil
	}
	return h.outside.join(procs)
}

// sweep removes the groups that builds which were killed have left. A group with processes in it cannot be
// removed; one that is about to get some is young.
func (d cgroupDir) sweep() {
	left, _ := filepath.Glob(filepath.Join(d.dir, groupPrefix+"*"))
	for _, dir := range left {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Minute {
			_ = os.Remove(dir)
		}
	}
}

// cgroupMount is a mounted hierarchy.
type cgroupMount struct {
	version int
	// controllers are those of version 1; those of version 2 are asked for in the group.
	controllers []string
	// point is where the hierarchy is mounted, own the directory of this process's group in it.
	point, own string
}

func (m cgroupMount) has(controller string) bool {
	if m.version == 1 {
		return slices.Contains(m.controllers, controller)
	}
	return slices.Contains(strings.Fields(cgroupDir{dir: m.own}.read("cgroup.controllers")), controller)
}

// cgroupMounts reads where the hierarchies are mounted and which groups this process is in.
func cgroupMounts() ([]cgroupMount, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseCgroups(string(groups), string(mounts)), nil
}

// parseCgroups understands /proc/self/cgroup, see cgroups(7), and mountinfo, see proc(5).
func parseCgroups(groups, mountinfo string) (list []cgroupMount) {
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(kind) < 3 || !strings.HasPrefix(kind[0], "cgroup") {
			continue
		}
		m := cgroupMount{version: 1, controllers: strings.Split(kind[2], ","), point: f[4]}
		if kind[0] == "cgroup2" {
			m.version, m.controllers = 2, nil
		}
		if group, ok := m.group(groups); ok {
			if below, err := filepath.Rel(f[3], group); err == nil && !strings.HasPrefix(below, "..") {
				m.own = filepath.Join(m.point, below)
			}
		}
		list = append(list, m)
	}
	return list
}

// group returns the path of this process's group in the hierarchy.
func (m cgroupMount) group(groups string) (path string, ok bool) {
	for line := range strings.Lines(groups) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		if m.version == 2 && f[0] == "0" {
			return f[2], true
		}
		for name := range strings.SplitSeq(f[1], ",") {
			if m.version == 1 && name != "" && slices.Contains(m.controllers, name) {
				return f[2], true
			}
		}
	}
	return "", false
}

// ProbeLimits tells the limits that this process itself is under, all commands included.
func ProbeLimits() []Probe {
	mounts, err := cgroupMounts()
	if err != nil {
		return []Probe{refused("control groups", err, "")}
	}
	var probes []Probe
	for _, q := range []struct{ name, controller, v1, v2 string }{
		{"memory limit", "memory", "memory.limit_in_bytes", "memory.max"},
		{"process limit", "pids", "pids.max", "pids.max"},
		{"processor limit", "cpu", "cpu.cfs_quota_us", "cpu.max"},
	} {
		m, err := find(mounts, q.controller)
		if err != nil {
			probes = append(probes, passed(q.name, "none that can be seen: "+err.Error()))
			continue
		}
		file := q.v1
		if m.version == 2 {
			file = q.v2
		}
		value := cgroupDir{dir: m.own}.read(file)
		if value == "" { // the topmost group has no limits
			value = "none"
		}
		probes = append(probes, passed(q.name, fmt.Sprintf("%s (%s, version %d)", value, filepath.Join(m.own, file), m.version)))
	}
	return probes
}

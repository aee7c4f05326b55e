//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sample is one measured build.
type sample struct {
	// Wall and CPU are in seconds; CPU is that of all processes, also of the commands of the build.
	Wall float64 `json:"wall"`
	CPU  float64 `json:"cpu"`
	// RSS is the highest sum of the resident memory of the peer's own processes, in bytes.
	RSS int64 `json:"rss"`
	traffic
}

// measure runs commands one after the other. daemon is the process that does the work for them, 0 if they do it.
func measure(ctx context.Context, m *meter, p peer, commands []*exec.Cmd) (s sample, err error) {
	before, cpu := m.total(), treeCPU(p.daemon())
	watching, stop := context.WithCancel(ctx)
	peak := make(chan int64)
	go func() { peak <- watchMemory(watching, p.programs()) }()
	began := time.Now()
	for _, c := range commands {
		if err = run(c); err != nil {
			break
		}
		s.CPU += (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()
	}
	s.Wall = time.Since(began).Seconds()
	stop()
	s.RSS = <-peak
	s.CPU += treeCPU(p.daemon()) - cpu
	s.traffic = m.total().minus(before)
	return s, err
}

// run runs a command and says what it wrote if it fails.
func run(c *exec.Cmd) error {
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		text := strings.TrimSpace(out.String())
		return fmt.Errorf("running %s: %w: %s", filepath.Base(c.Path), err, text[max(0, len(text)-600):])
	}
	return nil
}

// watchInterval is how often memory is looked at.
const watchInterval = 20 * time.Millisecond

// watchMemory returns the highest sum of the memory of the programs below this process.
func watchMemory(ctx context.Context, programs []string) int64 {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	var peak int64
	for {
		peak = max(peak, memoryBelow(os.Getpid(), "", programs))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return peak
		}
	}
}

// memoryBelow adds up the resident memory of the programs below a process, whose name is given. A child that is
// still in its parent's memory is not counted again. What else a program starts, and all below that, is the
// build's and not looked at.
func memoryBelow(pid int, name string, programs []string) (sum int64) {
	within := slices.Contains(programs, name)
	for _, child := range children(pid) {
		program := programName(child)
		ours := slices.Contains(programs, program)
		if ours && (program != name || !sharesMemory(pid, child)) {
			sum += resident(child)
		}
		if ours || !within {
			sum += memoryBelow(child, program, programs)
		}
	}
	return sum
}

func children(pid int) (list []int) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil
	}
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			continue // it has ended
		}
		for f := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(f); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// programName is the name of the file that a process runs.
func programName(pid int) string {
	file, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(filepath.Base(strings.TrimSuffix(file, " (deleted)")), "memfd:")
}

func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// sharesMemory reports whether two processes have one address space, as between vfork and exec.
func sharesMemory(a, b int) bool {
	const kcmpVM = 1
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpVM, 0, 0, 0)
	return errno == 0 && r == 0
}

// treeCPU is the processor time of a process, all below it, and all that they have waited for, in seconds.
func treeCPU(pid int) float64 {
	if pid == 0 {
		return 0
	}
	const ticks = 100 // a second; a constant of the system's interface
	sum := 0.0
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.ParseFloat(f, 64)
		sum += n / ticks
	}
	for _, child := range children(pid) {
		sum += treeCPU(child)
	}
	return sum
}

// adopt makes this process the parent of what its children leave behind.
func adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the reaper of what builders leave behind: %w", err)
	}
	return nil
}

// endProcess ends a process and everything in its group, first kindly.
func endProcess(c *exec.Cmd) {
	if c == nil || c.Process == nil {
		return
	}
	_ = c.Process.Signal(unix.SIGTERM)
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
	}
	_ = syscall.Kill(-c.Process.Pid, unix.SIGKILL)
}

// isMissing reports whether a program is not on PATH.
func isMissing(err error) bool { return errors.Is(err, exec.ErrNotFound) }

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// watchMemory watches how much memory in bytes the builder with a process ID uses, that is the process that was started
// and the one that it starts in namespaces, until most is called, which returns the most that the two have used. The
// kernel's account of a process that has ended is of no use for that: it begins with what its parent used.
func watchMemory(pid int) (most func() int64) {
	stop, stopped := make(chan struct{}), make(chan int64)
	go func() {
		used := map[string]int64{}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				for _, p := range withChildren(pid) {
					used[p] = max(used[p], peakMemory(p))
				}
			case <-stop:
				var sum int64
				for _, n := range used {
					sum += n
				}
				stopped <- sum
				return
			}
		}
	}()
	return func() int64 { close(stop); return <-stopped }
}

// withChildren returns a process and those that it has started.
func withChildren(pid int) []string {
	all := []string{strconv.Itoa(pid)}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range lists {
		list, _ := os.ReadFile(name)
		all = append(all, strings.Fields(string(list))...)
	}
	return all
}

// peakMemory is the most that a process has used since its program was started, in bytes; see proc_pid_status(5).
func peakMemory(pid string) int64 {
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(fields[0], 10, 64)
	return kilobytes << 10
}

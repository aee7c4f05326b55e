//go:build linux

package supervisor

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

func record(uid, gid uint32) ownership.Record { return ownership.Record{UID: uid, GID: gid} }

func TestProcPath(t *testing.T) {
	for name, want := range map[string]string{
		"/proc/self/exe": "self/exe", "/proc/self/../self/./maps": "self/maps", "/proc//cpuinfo": "cpuinfo",
		"/dev/fd/63": "self/fd/63", "/dev/stdin": "self/fd/0", "/dev/stdout": "self/fd/1", "/dev/stderr": "self/fd/2",
		"/proc/mounts": "self/mounts", "/proc/7/status": "7/status",
	} {
		if got, ok := procPath(name); !ok || got != want {
			t.Errorf("procPath(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "proc/self/exe", "/etc/passwd", "/proc/../etc/shadow", "/dev/null", "/dev/shm/x", "/process"} {
		if got, ok := procPath(name); ok {
			t.Errorf("procPath(%q) = %q, want none", name, got)
		}
	}
}

// What is not listed must stay hidden: through such names a command would reach other processes or out of its
// root directory.
func TestHiddenOfProcess(t *testing.T) {
	for _, name := range []string{"", "mem", "root/etc/shadow", "cwd/..", "fd/../mem", "fd/3/x", "fd/-1", "ns/mnt", "task/1/mem", "map_files/0-1", "environ/x", "pagemap"} {
		if shownOfProcess(name) {
			t.Errorf("/proc/self/%s is shown", name)
		}
	}
	for _, name := range []string{"exe", "fd/0", "fd/255", "task/12/comm", "maps", "status", "mountinfo"} {
		if !shownOfProcess(name) {
			t.Errorf("/proc/self/%s is hidden", name)
		}
	}
}

func TestRealProc(t *testing.T) {
	us := strconv.Itoa(os.Getpid())
	ours := func(dir string) bool {
		stat, err := os.ReadFile(dir + "/stat")
		return err == nil && strings.HasPrefix(string(stat), us+" ")
	}
	task := &task{Supervisor: &Supervisor{files: FilesOptions{Ours: ours}}, dir: "/proc/" + us}
	for name, shown := range map[string]bool{
		"cpuinfo": true, "sys/kernel/osrelease": true, "kcore": false, "sysrq-trigger": false, "sys/kernel/core_pattern": false,
		"1/environ": false, "1/root": false, us + "/status": true, us + "/mem": false, us + "/fd/0": true, us + "x/status": false,
		"self/status": true, "self/mem": false,
	} {
		f, ok := task.realProc(name)
		if ok != shown {
			t.Errorf("/proc/%s: shown %v, want %v", name, ok, shown)
		}
		if ok {
			f.close()
		}
	}
}

// The files of the machine are not a command's to write: the supervisor opens them with rights over the machine.
func TestMachineFilesAreForReading(t *testing.T) {
	task := &task{Supervisor: &Supervisor{}, dir: "/proc/self"}
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_TRUNC} {
		if a := task.openProc("sys/kernel/hostname", flags); a.errno != unix.EROFS {
			t.Errorf("opening with %#x gives %+v", flags, a)
		}
	}
}

//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Probe is a question that was put to the machine, and its answer.
type Probe struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Found says in words what was found, or what the kernel's refusal means.
	Found string `json:"found,omitempty"`
	// Errno is the name of the kernel's refusal, such as EPERM.
	Errno string `json:"errno,omitempty"`
	// Fix says what to change; empty if nothing needs to be, or nothing can.
	Fix string `json:"fix,omitempty"`
}

// passed is the answer yes.
func passed(name, found string) Probe { return Probe{Name: name, OK: true, Found: found} }

// refused is the answer no.
func refused(name string, err error, fix string) Probe {
	return Probe{Name: name, Found: err.Error(), Errno: ErrnoName(err), Fix: fix}
}

// answer is yes if err is nil.
func answer(name string, err error, found, fix string) Probe {
	if err != nil {
		return refused(name, err, fix)
	}
	return passed(name, found)
}

// ErrnoName returns the name of the errno in err, such as EPERM, or "" if there is none.
func ErrnoName(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return unix.ErrnoName(errno)
	}
	return ""
}

// Probes asks the machine for all that the rungs need. Nothing is left of it. It is meant for reports:
// Enter finds the best rung by trying. It must be called outside of any sandbox.
func Probes() []Probe {
	return []Probe{
		probeIdentity(),
		probeConfinement(),
		probeNamespace(),
		probeMounts(),
		probeProc(),
		probeNetworkNamespace(),
		probeRanges("/etc/subuid", "--add-subuids"),
		probeRanges("/etc/subgid", "--add-subgids"),
		probeHelper("newuidmap"),
		probeHelper("newgidmap"),
		probeChroot(),
		probeDevices(),
		probeNotify(),
		probeLandlock(),
		probeOpenat2(),
	}
}

// attempt makes calls in a child with new namespaces and returns the first refusal.
func attempt(namespaces uintptr, calls func(l *callList)) error {
	l := &callList{}
	calls(l)
	l.add("ending", unix.SYS_EXIT_GROUP, 0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, pidfd, err := fork(sharing|namespaces, l)
	if err != nil {
		return err
	}
	pidfd.Close()
	_, err = reap(pid)
	return err
}

func nothing(*callList) {}

func probeIdentity() Probe {
	found := fmt.Sprintf("user %d, group %d", os.Getuid(), os.Getgid())
	if text := statusField("CapEff"); text != "" {
		found += ", effective capabilities " + text
	}
	return passed("identity", found)
}

// probeConfinement tells what bounds this process. That is no fault, but explains others.
func probeConfinement() Probe {
	p := passed("confinement", "none")
	var found []string
	if filtered() {
		found = append(found, "a seccomp filter")
	}
	if noNewPrivileges() {
		found = append(found, "no_new_privs: setuid programs such as newuidmap have no effect")
	}
	if label := securityLabel(); label != "" {
		found = append(found, "security label "+label)
	}
	if len(found) > 0 {
		p.Found = strings.Join(found, "; ")
	}
	return p
}

func probeNamespace() Probe {
	err := attempt(unix.CLONE_NEWUSER, nothing)
	return answer("user namespaces", err, "can be made", namespaceFix(err))
}

func probeMounts() Probe {
	err := attempt(unix.CLONE_NEWUSER|unix.CLONE_NEWNS, func(l *callList) {
		l.add("making mounts private", unix.SYS_MOUNT, 0, l.text("/"), 0, unix.MS_REC|unix.MS_PRIVATE, 0)
		cwd := ^uintptr(-unix.AT_FDCWD - 1)
		l.add("taking a mount (open_tree)", unix.SYS_OPEN_TREE, cwd, l.text("/"), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	})
	return answer("mounts in a user namespace", err, "can be made", namespaceFix(err))
}

func probeProc() Probe {
	err := attempt(unix.CLONE_NEWUSER|unix.CLONE_NEWNS|unix.CLONE_NEWPID, func(l *callList) {
		l.add("mounting /proc", unix.SYS_MOUNT, l.text("proc"), l.text("/proc"), l.text("proc"), unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, 0)
	})
	return answer("a /proc of its own", err, "can be mounted",
		"commands are shown the /proc that is there; for one of their own: docker run --security-opt systempaths=unconfined; in a pod securityContext.procMount: Unmasked")
}

func probeNetworkNamespace() Probe {
	err := attempt(unix.CLONE_NEWUSER|unix.CLONE_NEWNET, nothing)
	return answer("network namespaces", err, "can be made", namespaceFix(err))
}

func probeChroot() Probe {
	err := attempt(0, func(l *callList) { l.add("chroot", unix.SYS_CHROOT, l.text("/")) })
	return answer("chroot", err, "is permitted", rootFix)
}

// rootFix is what the rung chroot needs.
const rootFix = "only of use without user namespaces: run as root with Docker's default capabilities (docker run without --user and --cap-drop; in a pod runAsUser: 0)"

func probeDevices() Probe {
	const name = "device nodes"
	dir, err := os.MkdirTemp("", "builder-doctor-")
	if err != nil {
		return refused(name, err, "")
	}
	err = unix.Mknod(dir+"/null", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))
	_ = os.RemoveAll(dir)
	return answer(name, err, "can be made", rootFix)
}

func probeNotify() Probe {
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	program := unix.SockFprog{Len: 1, Filter: &allow}
	err := attempt(0, func(l *callList) {
		l.keep = append(l.keep, &allow, &program)
		l.add("setting no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		l.add("seccomp", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	})
	return answer("seccomp user notification", err, "can be used",
		"owners of files cannot be recorded without it: Linux 5.0 has it; the container's seccomp profile must allow the system call seccomp, as Docker's does")
}

func probeLandlock() Probe {
	const name = "Landlock"
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return refused(name, errno, "Linux 5.13 with landlock among the kernel's lsm= has it; commands without a mount namespace are confined less")
	}
	return passed(name, fmt.Sprintf("version %d", version))
}

func probeOpenat2() Probe {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err == nil {
		_ = unix.Close(fd)
	}
	return answer("openat2", err, "works", "every path into an image is resolved with it: Linux 5.6 has it, and the container's seccomp profile must allow it")
}

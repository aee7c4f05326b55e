//go:build linux

package sandbox

import (
	"bytes"
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// refusal says why a rung cannot be had and what would change that.
func refusal(r Rung, why error) Refusal {
	return Refusal{Rung: r, Why: why.Error(), Fix: advice(r, why)}
}

// advice says what r needs that is not there.
func advice(r Rung, why error) string {
	switch r {
	case RungUserns:
		if p := probeNamespace(); !p.OK {
			return p.Fix
		}
		if p := probeMounts(); !p.OK {
			return p.Fix
		}
		return idsFix()
	case RungSingle:
		return namespaceFix(why)
	case RungChroot:
		if hasCapability(unix.CAP_SYS_CHROOT) && hasCapability(unix.CAP_MKNOD) {
			return ""
		}
		return "run as root with Docker's default capabilities: docker run without --user and --cap-drop; in a pod runAsUser: 0"
	case RungNone:
	}
	return ""
}

// idsFix says what keeps this user from mapping many ids.
func idsFix() string {
	for _, p := range []Probe{
		probeHelper("newuidmap"), probeHelper("newgidmap"),
		probeRanges("/etc/subuid", "--add-subuids"), probeRanges("/etc/subgid", "--add-subgids"),
	} {
		if !p.OK {
			return p.Fix
		}
	}
	return "newuidmap and newgidmap must not be kept from their work: in a container they need the capabilities SETUID and SETGID (docker run --cap-add SETUID,SETGID)"
}

// namespaceFix says how to get user namespaces and mounts in them when the kernel refused with err.
func namespaceFix(err error) string {
	switch {
	case err == nil:
		return ""
	case knob("kernel/unprivileged_userns_clone") == "0":
		return "as root: sysctl -w kernel.unprivileged_userns_clone=1"
	case knob("user/max_user_namespaces") == "0", errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		return "as root: sysctl -w user.max_user_namespaces=15000"
	case filtered():
		return "the container must allow namespaces and mounts: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined; in a pod securityContext.seccompProfile.type: Unconfined (and appArmorProfile.type: Unconfined)"
	case knob("kernel/apparmor_restrict_unprivileged_userns") == "1":
		return "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for this program that says userns"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return "the kernel was built without user namespaces (CONFIG_USER_NS)"
	case errors.Is(err, unix.EPERM):
		return "the kernel makes no user namespace for a process in a chroot; a security module may forbid it too (see /proc/self/attr/current)"
	}
	return ""
}

// knob returns a setting of the kernel, "" if it has no such.
func knob(name string) string {
	text, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// statusField returns a field of /proc/self/status.
func statusField(name string) string {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// filtered reports whether this process is under a seccomp filter, as in a container.
func filtered() bool { return statusField("Seccomp") == "2" }

func noNewPrivileges() bool { return statusField("NoNewPrivs") == "1" }

// securityLabel is what a security module such as AppArmor or SELinux calls this process.
func securityLabel() string {
	text, err := os.ReadFile("/proc/self/attr/current")
	if err != nil {
		return ""
	}
	label := strings.TrimRight(string(text), "\x00\n")
	if label == "unconfined" {
		return ""
	}
	return label
}

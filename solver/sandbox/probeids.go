//go:build linux

package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// currentUser is how this process's user can be named in /etc/subuid.
func currentUser() userID {
	uid := strconv.Itoa(os.Getuid())
	if known, err := user.LookupId(uid); err == nil {
		return userID{name: known.Username, uid: uid}
	}
	return userID{name: uid, uid: uid}
}

// probeRanges looks up the subordinate ids that a file grants.
func probeRanges(path, option string) Probe {
	name := "ranges in " + path
	if hasCapability(unix.CAP_SETUID) && hasCapability(unix.CAP_SETGID) {
		return passed(name, "not needed: this process may map every id")
	}
	u := currentUser()
	text, err := os.ReadFile(path)
	if err != nil {
		return refused(name, err, rangesFix(u, path, option))
	}
	var found []string
	for _, r := range subordinateRanges(text, u) {
		found = append(found, fmt.Sprintf("%d-%d", r.Outside, r.Outside+r.Count-1))
	}
	if len(found) == 0 {
		return Probe{Name: name, Found: "none for user " + u.name, Fix: rangesFix(u, path, option)}
	}
	return passed(name, strings.Join(found, ", ")+" for user "+u.name)
}

// rangesFix says how to grant a range. Who is not in /etc/passwd can only be granted one by number.
func rangesFix(u userID, path, option string) string {
	if u.name == u.uid {
		return fmt.Sprintf("as root: echo %s:100000:65536 >> %s", u.uid, path)
	}
	return fmt.Sprintf("as root: usermod %s 100000-165535 %s", option, u.name)
}

// probeHelper looks whether a program that maps ids can do so: it needs the setuid bit or capabilities of its own.
func probeHelper(name string) Probe {
	path, err := exec.LookPath(name)
	if err != nil {
		return Probe{Name: name, Found: "is not installed", Fix: "Debian, Ubuntu: apt-get install uidmap; Fedora: dnf install shadow-utils; Alpine: apk add shadow-uidmap"}
	}
	if fault, fix := helperFault(path); fault != "" {
		return Probe{Name: name, Found: path + " " + fault, Fix: fix}
	}
	return passed(name, path)
}

func helperFault(path string) (fault, fix string) {
	if noNewPrivileges() {
		return "has no effect under no_new_privs", "docker run without --security-opt no-new-privileges; in a pod securityContext.allowPrivilegeEscalation: true"
	}
	info, err := os.Stat(path)
	if err != nil {
		return err.Error(), ""
	}
	size, _ := unix.Getxattr(path, "security.capability", nil)
	if info.Mode()&os.ModeSetuid == 0 && size <= 0 {
		return "has neither the setuid bit nor capabilities", "as root: chmod u+s " + path
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err == nil && fs.Flags&unix.ST_NOSUID != 0 {
		return "is on a file system that is mounted nosuid", "mount that file system without nosuid, or install the program elsewhere"
	}
	return "", ""
}

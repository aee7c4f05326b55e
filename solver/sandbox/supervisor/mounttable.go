//go:build linux

package supervisor

import (
	"fmt"
	"strings"
)

// staticProc returns what files say that would tell about the mounts of the machine: what the command was given is
// shown as mounts.
func (t *task) staticProc(name string) (string, bool) {
	var b strings.Builder
	switch name {
	case "mounts":
		b.WriteString("overlay / overlay rw,relatime 0 0\n")
		for i := range t.files.Mounts {
			m := &t.files.Mounts[i]
			fmt.Fprintf(&b, "overlay %s overlay %s,relatime 0 0\n", escape(m.Target), m.access())
		}
	case "mountinfo":
		b.WriteString("1 0 0:1 / / rw,relatime - overlay overlay rw\n")
		for i := range t.files.Mounts {
			m := &t.files.Mounts[i]
			fmt.Fprintf(&b, "%d 1 0:%d / %s %s,relatime - overlay overlay rw\n", i+2, i+2, escape(m.Target), m.access())
		}
	default:
		return "", false
	}
	return b.String(), true
}

// access is the option of the mount that says what can be done with it.
func (m *Mount) access() string {
	if m.ReadOnly {
		return "ro"
	}
	return "rw"
}

// escape writes a path as /proc/mounts does.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(path)
}

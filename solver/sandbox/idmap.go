//go:build linux

package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Extent maps Count ids from Inside a user namespace on to ids from Outside on in its parent.
type Extent struct {
	Inside, Outside, Count uint32
}

// idMap is what a user namespace maps.
type idMap struct {
	UIDs, GIDs []Extent
	// Helpers: the kernel allows only newuidmap and newgidmap to write this map.
	Helpers bool
}

// identity maps every id that exists here to itself. A map must be split where the parent's is: one
// extent across two of the parent's is refused.
func identity(parent []Extent) []Extent {
	same := make([]Extent, len(parent))
	for i, e := range parent {
		same[i] = Extent{e.Inside, e.Inside, e.Count}
	}
	return same
}

// readIDMap parses /proc/*/uid_map and gid_map, see user_namespaces(7).
func readIDMap(path string) ([]Extent, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var extents []Extent
	for line := range strings.Lines(string(text)) {
		var e Extent
		if _, err := fmt.Sscan(line, &e.Inside, &e.Outside, &e.Count); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		extents = append(extents, e)
	}
	return extents, nil
}

// format gives extents the form in which the kernel takes them.
func format(extents []Extent) string {
	var b strings.Builder
	for _, e := range extents {
		fmt.Fprintf(&b, "%d %d %d\n", e.Inside, e.Outside, e.Count)
	}
	return b.String()
}

// subordinateMap maps the user to root and the ranges that /etc/subuid and /etc/subgid grant to the
// ids from 1 on.
func subordinateMap(u userID, uid, gid int) (idMap, error) {
	m := idMap{
		UIDs:    []Extent{{0, uint32(uid), 1}},
		GIDs:    []Extent{{0, uint32(gid), 1}},
		Helpers: true,
	}
	for _, f := range []struct {
		path string
		to   *[]Extent
	}{{"/etc/subuid", &m.UIDs}, {"/etc/subgid", &m.GIDs}} {
		text, err := os.ReadFile(f.path)
		if err != nil {
			return idMap{}, fmt.Errorf("reading subordinate ids: %w", err)
		}
		next := uint32(1)
		for _, r := range subordinateRanges(text, u) {
			*f.to = append(*f.to, Extent{next, r.Outside, r.Count})
			next += r.Count
		}
		if next == 1 {
			return idMap{}, fmt.Errorf("%s has no range for user %s", f.path, u.name)
		}
	}
	for _, helper := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(helper); err != nil {
			return idMap{}, fmt.Errorf("%s is not installed", helper)
		}
	}
	return m, nil
}

// userID is how a user can be named in /etc/subuid.
type userID struct {
	name, uid string
}

// maxExtents is how many lines the kernel takes in a map, less the one for the user.
const maxExtents = 339

// subordinateRanges parses subuid(5): "name or id:first id:count" a line. What is not of that form is skipped.
func subordinateRanges(text []byte, u userID) []Extent {
	var ranges []Extent
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan() && len(ranges) < maxExtents; {
		f := strings.Split(strings.TrimSpace(s.Text()), ":")
		if len(f) != 3 || f[0] != u.name && f[0] != u.uid {
			continue
		}
		first, err1 := strconv.ParseUint(f[1], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 32)
		if err1 != nil || err2 != nil || count == 0 || first+count > 1<<32-1 {
			continue
		}
		ranges = append(ranges, Extent{Outside: uint32(first), Count: uint32(count)})
	}
	return ranges
}

// write gives the user namespace of process pid the map m.
func (m idMap) write(pid int) error {
	if m.Helpers {
		var g errgroup.Group
		g.Go(func() error { return runHelper("newuidmap", pid, m.UIDs) })
		g.Go(func() error { return runHelper("newgidmap", pid, m.GIDs) })
		return g.Wait()
	}
	dir := fmt.Sprintf("/proc/%d/", pid)
	if len(m.GIDs) == 1 && m.GIDs[0].Count == 1 {
		if err := os.WriteFile(dir+"setgroups", []byte("deny"), 0); err != nil {
			return err
		}
	}
	if err := os.WriteFile(dir+"uid_map", []byte(format(m.UIDs)), 0); err != nil {
		return err
	}
	return os.WriteFile(dir+"gid_map", []byte(format(m.GIDs)), 0)
}

func runHelper(name string, pid int, extents []Extent) error {
	args := []string{strconv.Itoa(pid)}
	for _, e := range extents {
		args = append(args, strings.Fields(format([]Extent{e}))...)
	}
	out, err := exec.Command(name, args...).CombinedOutput() //nolint:noctx // it ends in a millisecond
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

package exporter

import (
	"archive/tar"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
)

// model is what flattening should give, computed in the plainest way: a map from paths to what they are. It
// knows no links on the way to a name, so the layers it is asked about have none.
type model map[string]string

func (m model) remove(p string, keep func(string) bool) {
	for q := range m {
		if (q == p || strings.HasPrefix(q, p+"/")) && !keep(q) {
			delete(m, q)
		}
	}
}

func (m model) apply(entries []tar.Header) {
	// Whiteouts first, since they are about layers below; then what is new, in order.
	for _, h := range entries {
		switch d, base := path.Split(path.Clean(h.Name)); {
		case base == opaque:
			m.remove(path.Clean(d), func(q string) bool { return q == path.Clean(d) })
		case strings.HasPrefix(base, whiteout):
			m.remove(path.Join(d, strings.TrimPrefix(base, whiteout)), func(string) bool { return false })
		}
	}
	for _, h := range entries {
		p := path.Clean(h.Name)
		if strings.HasPrefix(path.Base(p), whiteout) {
			continue
		}
		if h.Typeflag == tar.TypeDir && m[p] == "5" {
			continue
		}
		m.remove(p, func(string) bool { return false })
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			m[d] = "5"
		}
		m[p] = string(h.Typeflag) + h.Linkname + h.Uname
	}
}

func (m model) lines() []string {
	var lines []string
	for p, what := range m {
		lines = append(lines, p+" "+what)
	}
	slices.Sort(lines)
	return lines
}

// randomEntries makes changes to what m has. A directory is only replaced through a whiteout, as a
// layer that was made from a file system does it.
func randomEntries(r *rand.Rand, m model) []tar.Header {
	names := []string{"a", "b", "c"}
	random := func() string {
		parts := make([]string, 1+r.IntN(3))
		for i := range parts {
			parts[i] = names[r.IntN(len(names))]
		}
		return strings.Join(parts, "/")
	}
	var entries []tar.Header
	now := maps.Clone(m)
	for range 1 + r.IntN(6) {
		p := random()
		if blocked(now, p) {
			continue
		}
		var h tar.Header
		switch r.IntN(6) {
		case 0:
			h = dir(p)
		case 1:
			h = symlink(p, "nowhere")
		case 2:
			h = file(path.Join(path.Dir(p), whiteout+path.Base(p)), "")
			if touched(entries, p) {
				continue
			}
		case 3:
			h = file(path.Join(p, opaque), "")
			if now[p] != "5" || touched(entries, p) {
				continue
			}
		default:
			h = file(p, fmt.Sprint(r.IntN(1000)))
		}
		entries = append(entries, h)
		now = maps.Clone(m)
		now.apply(entries)
	}
	return entries
}

// blocked reports whether something on the way to p is not a directory.
func blocked(m model, p string) bool {
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		if what, ok := m[d]; ok && what != "5" {
			return true
		}
	}
	return false
}

// touched reports whether entries are about p or what is below or above it.
func touched(entries []tar.Header, p string) bool {
	return slices.ContainsFunc(entries, func(h tar.Header) bool {
		q := path.Clean(h.Name)
		return q == p || strings.HasPrefix(q, p+"/") || strings.HasPrefix(p, q+"/")
	})
}

// Flattening layers is applying them one after another.
func TestFlattenIsApplying(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		want := model{}
		var all layers
		for range 1 + r.IntN(5) {
			entries := randomEntries(r, want)
			want.apply(entries)
			all = append(all, entries)
		}
		got, err := flattenModel(t, all)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if !slices.Equal(got, want.lines()) {
			t.Fatalf("round %d: got %q, want %q, from %s", round, got, want.lines(), asJSON(all))
		}
	}
}

func flattenModel(t *testing.T, all layers) ([]string, error) {
	t.Helper()
	lines, err := flattened(t, all...)
	for i, line := range lines {
		kind, rest, _ := strings.Cut(line, " ")
		p, content, _ := strings.Cut(rest, " ")
		lines[i] = p + " " + kind + strings.TrimPrefix(content, "-> ")
	}
	slices.Sort(lines)
	return lines, err
}

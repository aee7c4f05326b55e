package guard

import (
	"maps"
	"slices"
)

// Guard knows secrets. A nil Guard knows none, and finds nothing.
type Guard struct {
	search *search
}

// New returns a guard that looks for secrets, by name; nil if none of them is long enough.
func New(secrets map[string][]byte) *Guard {
	var all []pattern
	for _, id := range slices.Sorted(maps.Keys(secrets)) {
		all = append(all, patterns(id, secrets[id])...)
	}
	if len(all) == 0 {
		return nil
	}
	return &Guard{search: newSearch(all)}
}

// TooShort reports whether a secret is not looked for because it is too short.
func TooShort(secret []byte) bool { return len(patterns("", secret)) == 0 }

// Find returns the name of a secret that is in b, "" if none is.
func (g *Guard) Find(b []byte) string {
	if g == nil {
		return ""
	}
	if p, _ := g.search.find(b); p != nil {
		return p.id
	}
	return ""
}

// mask is what is shown in place of a secret.
const mask = "***"

// Mask returns s with every secret in it replaced.
func (g *Guard) Mask(s string) string {
	if g == nil || g.Find([]byte(s)) == "" {
		return s
	}
	masked, _ := g.masked(nil, []byte(s))
	return string(masked)
}

// masked appends b to dst with every secret replaced, and returns the names of those.
func (g *Guard) masked(dst, b []byte) (masked []byte, ids []string) {
	for {
		p, at := g.search.find(b)
		if p == nil {
			return append(dst, b...), ids
		}
		dst = append(append(dst, b[:at]...), mask...)
		b = b[at+len(p.text):]
		if !slices.Contains(ids, p.id) {
			ids = append(ids, p.id)
		}
	}
}

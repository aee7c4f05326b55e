// Package suggest finds what a word with a slip of the pen was meant to be.
package suggest

import "slices"

// furthest is how many letters may be wrong at most.
const furthest = 2

// Nearest returns the one of names that name is probably a mistake for: the one that needs the fewest letters added,
// removed or replaced. Of several the one with the same letters in another order is the likeliest, then the one that
// begins like name for longest, then the first. Nothing is near a name that needs more than two changes, or none.
func Nearest(name string, names []string) string {
	best, least := "", measure{changes: furthest + 1}
	for _, other := range names {
		if other == name {
			return ""
		}
		if m := compare([]rune(name), []rune(other)); m.less(least) {
			best, least = other, m
		}
	}
	return best
}

// measure is how far a name is from another.
type measure struct {
	changes   int
	reordered bool
	prefix    int
}

func (m measure) less(than measure) bool {
	if m.changes != than.changes {
		return m.changes < than.changes
	}
	if m.changes > furthest {
		return false
	}
	if m.reordered != than.reordered {
		return m.reordered
	}
	return m.prefix > than.prefix
}

func compare(a, b []rune) measure {
	if len(a)-len(b) > furthest || len(b)-len(a) > furthest {
		return measure{changes: furthest + 1}
	}
	prefix := 0
	for prefix < min(len(a), len(b)) && a[prefix] == b[prefix] {
		prefix++
	}
	return measure{changes: distance(a, b), reordered: slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))), prefix: prefix}
}

// distance is how many letters must be added, removed or replaced to make b of a (Levenshtein).
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

package cache

import (
	"context"
	"slices"
	"time"
)

// Prune says what a shared cache may forget.
type Prune struct {
	// Before: only what was made before that; zero is any time.
	Before time.Time
	// Keep is the size in bytes of the layers that may stay; the oldest goes first.
	Keep int64
}

// Pruned says what was removed.
type Pruned struct {
	Results int   `json:"results"`
	Bytes   int64 `json:"bytes"`
}

// Pruner is a shared cache that can be pruned.
type Pruner interface {
	Prune(ctx context.Context, p Prune) (Pruned, error)
}

// shared is something that is shared, as far as pruning goes.
type shared[ID comparable] struct {
	id      ID
	created time.Time
	size    int64
}

// choose returns what is to go, the oldest first.
func choose[ID comparable](p Prune, all []shared[ID]) []shared[ID] {
	slices.SortFunc(all, func(a, b shared[ID]) int { return a.created.Compare(b.created) })
	var total int64
	for _, s := range all {
		total += s.size
	}
	var chosen []shared[ID]
	for _, s := range all {
		if total <= p.Keep || !p.Before.IsZero() && !s.created.Before(p.Before) {
			break
		}
		chosen = append(chosen, s)
		total -= s.size
	}
	return chosen
}

// tell adds up what was removed.
func tell[ID comparable](removed []shared[ID]) (p Pruned) {
	for _, s := range removed {
		p.Results++
		p.Bytes += s.size
	}
	return p
}

//go:build linux

package snapshot

import (
	"runtime"

	"golang.org/x/sync/errgroup"
)

// crew does work that branches, such as walking a tree, on all processors: a branch is done by another
// goroutine if one is free, else at once.
type crew struct {
	g errgroup.Group
}

func newCrew() *crew {
	c := &crew{}
	c.g.SetLimit(runtime.GOMAXPROCS(0) - 1)
	return c
}

// do does f, or has it done until wait returns.
func (c *crew) do(f func() error) error {
	if c.g.TryGo(f) {
		return nil
	}
	return f()
}

// wait waits for all that was begun. It returns err or, if that is nil, the first error of the others.
func (c *crew) wait(err error) error {
	if others := c.g.Wait(); err == nil {
		err = others
	}
	return err
}

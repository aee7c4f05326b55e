package registry

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A tag mostly stands for what it stood for the last time. Who has something to do meanwhile that can be undone need not
// wait for the registry to say so.

// expected returns what t, the tag ref, is expected to stand for, and begins to ask what it stands for. It returns nil if
// nothing is expected, or that is not here. Nobody else may be resolving the tag.
func (c *Client) expected(ctx context.Context, ref name.Reference, t *tag) *Manifest {
	want := c.config.Expected[ref.Name()]
	if want == (v1.Hash{}) {
		return nil
	}
	m := c.kept(want)
	if m == nil {
		return nil
	}
	t.digest, t.assumed = want, true
	ctx = context.WithoutCancel(ctx) // who has asked goes on
	c.asking.Go(func() error { return c.confirm(ctx, ref, t) })
	return m
}

// confirm asks for what a tag was taken to stand for.
func (c *Client) confirm(ctx context.Context, ref name.Reference, t *tag) error {
	m, err := c.ask(ctx, ref)
	if locked := t.resolving.Acquire(ctx, 1); locked != nil {
		return locked
	}
	defer t.resolving.Release(1)
	want := t.digest
	if t.digest, t.assumed = (v1.Hash{}), false; err != nil {
		return &NameError{Name: display(ref), Err: err}
	}
	if t.digest = m.Descriptor.Digest; t.digest != want {
		return fmt.Errorf("%s stands for %s, not for %s", display(ref), t.digest, want)
	}
	return nil
}

// Confirm waits until the registries have said what the tags stand for that were taken to stand for what was expected. It
// is an error if that is something else for one of them, or they do not say; then what was done with them is worth nothing.
func (c *Client) Confirm(ctx context.Context) error {
	said := make(chan error, 1)
	go func() { said <- c.asking.Wait() }()
	select {
	case err := <-said:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

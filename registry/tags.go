package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/semaphore"

	"github.com/seed-298d225e/builder/httpclient"
)

// Tags remembers, from one process to the next, what tags stood for. It may forget, and tags move: it only says what is
// worth asking a registry.
type Tags interface {
	// Find returns what a tag stood for the last time, by its full name; zero if that is not known.
	Find(name string) v1.Hash
	// Note remembers what a tag stands for.
	Note(name string, digest v1.Hash)
}

// maxTagsKept is how many tags a [TagsFile] remembers; a line is about 130 bytes long.
const maxTagsKept = 2000

// TagsFile is a [Tags] in a text file: a line for each tag, "NAME DIGEST", the latest last. It is not read before it is
// needed.
type TagsFile struct{ lineFile }

// NewTagsFile returns what the file at path remembers. It need not exist.
func NewTagsFile(path string) *TagsFile { return &TagsFile{lineFile{path: path, most: maxTagsKept}} }

// Find implements [Tags].
func (f *TagsFile) Find(name string) v1.Hash {
	digest, err := v1.NewHash(f.find(name))
	if err != nil {
		return v1.Hash{}
	}
	return digest
}

// Note implements [Tags].
func (f *TagsFile) Note(name string, digest v1.Hash) { f.note(name, digest.String()) }

// oblivious is a Tags that remembers nothing.
type oblivious struct{}

// Find implements Tags.
func (oblivious) Find(string) v1.Hash { return v1.Hash{} }

// Note implements Tags.
func (oblivious) Note(string, v1.Hash) {}

// tag is what a tag was resolved to. It is asked for once in the life of a client: all that is built from
// a tag is then built from the same thing, even if the tag moves.
type tag struct {
	resolving *semaphore.Weighted
	digest    v1.Hash
	// assumed: the registry has not said so yet.
	assumed bool
}

func (c *Client) tag(ref name.Reference) *tag {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tags[ref.Name()] == nil {
		c.tags[ref.Name()] = &tag{resolving: semaphore.NewWeighted(1), digest: c.config.Resolved[ref.Name()]}
	}
	return c.tags[ref.Name()]
}

// Resolved returns what the tags that were resolved stand for, by their full names. Nothing may be being resolved.
func (c *Client) Resolved() map[string]v1.Hash {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]v1.Hash{}
	for name, t := range c.tags {
		if t.digest != (v1.Hash{}) && !t.assumed {
			found[name] = t.digest
		}
	}
	return found
}

func (c *Client) tagged(ctx context.Context, ref name.Reference) (*Manifest, error) {
	t := c.tag(ref)
	if err := t.resolving.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer t.resolving.Release(1)
	if t.digest != (v1.Hash{}) {
		return c.byDigest(ctx, ref.Context(), t.digest)
	}
	before := c.before(ref)
	if before != nil && c.config.Assume {
		t.digest, t.assumed = before.Descriptor.Digest, true
		ctx = context.WithoutCancel(ctx) // who has asked goes on
		c.asking.Go(func() error { return c.confirm(ctx, ref, t) })
		return before, nil
	}
	m, err := c.ask(ctx, ref, func(e endpoint) (*Manifest, error) {
		if before == nil {
			return e.manifest(ctx, ref.Identifier(), v1.Hash{})
		}
		return e.tagged(ctx, ref.Identifier())
	})
	if err == nil {
		t.digest = m.Descriptor.Digest
	}
	return m, err
}

// before returns what a tag stood for the last time, nil if that is not known or not here.
func (c *Client) before(ref name.Reference) *Manifest {
	digest := c.config.Tags.Find(ref.Name())
	if digest == (v1.Hash{}) {
		return nil
	}
	return c.kept(digest)
}

// ask asks registries what a tag stands for. What is likely to be here is asked for by its digest first, which registries
// that count what is pulled do not count.
func (c *Client) ask(ctx context.Context, ref name.Reference, question func(endpoint) (*Manifest, error)) (m *Manifest, err error) {
	err = c.from(ctx, ref.Context(), func(e endpoint) (err error) {
		m, err = question(e)
		return err
	})
	if err == nil {
		c.config.Tags.Note(ref.Name(), m.Descriptor.Digest)
	}
	return m, err
}

// confirm asks for what a tag was taken to stand for. It is not patient: who must know it asks again. Nor does it take the
// answer of one registry because another, which comes before it, has just failed to give its own.
func (c *Client) confirm(ctx context.Context, ref name.Reference, t *tag) error {
	var unsure error
	m, err := c.ask(ctx, ref, func(e endpoint) (m *Manifest, err error) {
		e.retry.Tries = 1
		if m, err = e.tagged(ctx, ref.Identifier()); httpclient.Transient(err) {
			unsure = err
		}
		return m, err
	})
	if err == nil {
		err = unsure
	}
	if locked := t.resolving.Acquire(ctx, 1); locked != nil {
		return errors.Join(err, locked)
	}
	defer t.resolving.Release(1)
	assumed := t.digest
	if t.digest, t.assumed = (v1.Hash{}), false; err != nil {
		return &NameError{Name: display(ref), Err: err}
	}
	if t.digest = m.Descriptor.Digest; t.digest != assumed {
		return fmt.Errorf("%s stands for %s, not for %s", display(ref), t.digest, assumed)
	}
	return nil
}

// Confirm waits until the registries have said what the tags stand for of which it was assumed; see [Config.Assume]. It
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

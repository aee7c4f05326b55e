package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/semaphore"
)

// Pusher puts blobs and manifests into one repository. Each blob is sent at most once in its life.
type Pusher struct {
	to   endpoint
	repo name.Repository

	mu    sync.Mutex
	blobs map[v1.Hash]*pushed
	// present is what the repository was found to have.
	present present
	// ending are requests whose answers nobody waits for but Close.
	ending sync.WaitGroup
	// referrers is held by who changes a list of referrers.
	referrers sync.Mutex
}

// pushed is a blob that is or will be in the repository.
type pushed struct {
	pushing *semaphore.Weighted
	layer   v1.Layer
	done    bool
	err     error
}

// Pusher returns a pusher for repo. Nothing is asked of the registry yet.
func (c *Client) Pusher(repo name.Repository) (*Pusher, error) {
	e, err := c.upstream(repo, push)
	if err != nil {
		return nil, err
	}
	return &Pusher{
		to: e, repo: repo, blobs: map[v1.Hash]*pushed{},
		present: present{digests: map[v1.Hash]bool{}, tags: map[string]v1.Hash{}},
	}, nil
}

// Layer makes sure that the blob of l is in the repository, and returns when it is. Calls for the same blob
// share one upload. A layer may say where it is with a method Repository() name.Repository, and which layer
// with the same blob it wraps with Unwrap() v1.Layer: what is in the same registry is mounted rather than sent.
func (p *Pusher) Layer(ctx context.Context, l v1.Layer) error {
	digest, err := l.Digest()
	if err != nil {
		return err
	}
	return p.join(ctx, l, digest, false)
}

// join pushes a blob, or waits for the one who does. With force the blob is not believed to be there.
func (p *Pusher) join(ctx context.Context, l v1.Layer, digest v1.Hash, force bool) error {
	b := p.blob(digest, l)
	if err := b.pushing.Acquire(ctx, 1); err != nil {
		return err
	}
	defer b.pushing.Release(1)
	if (b.done || b.err != nil) && !force {
		return b.err
	}
	err := p.push(ctx, b.layer, digest, force)
	if err != nil {
		err = fmt.Errorf("pushing layer %s to %s: %w%s", digest, display(p.repo), err, advice(p.repo, err))
	}
	if ctx.Err() == nil {
		b.done, b.err = err == nil, err
	}
	return err
}

func (p *Pusher) blob(digest v1.Hash, l v1.Layer) *pushed {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.blobs[digest] == nil {
		p.blobs[digest] = &pushed{pushing: semaphore.NewWeighted(1), layer: l}
	}
	return p.blobs[digest]
}

func (p *Pusher) push(ctx context.Context, l v1.Layer, digest v1.Hash, force bool) error {
	if !force && p.present.has(digest) {
		p.to.client.found(p.repo, digest)
		return nil
	}
	size, err := l.Size()
	if err != nil {
		return err
	}
	alone := p.to.client.sendingSlot(place{p.repo.RegistryStr(), digest})
	if err := alone.Acquire(ctx, 1); err != nil {
		return err
	}
	defer alone.Release(1)
	slots := p.to.client.registrySlots(p.repo.RegistryStr()).up
	if err := slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer slots.Release(1)
	src, err := newSource(l, digest, size, p.to.client.reporter("pushing "+transfer(p.repo, digest), size))
	if err != nil {
		return err
	}
	u := &upload{endpoint: p.to, source: src}
	there, err := p.mount(ctx, u, l)
	if err == nil && !there && !force && size > smallBlob {
		there, err = p.to.has(ctx, digest)
	}
	if err != nil || there {
		p.abandon(ctx, u)
	} else {
		err = u.run(ctx)
	}
	if err != nil {
		return err
	}
	p.arrived(digest)
	return nil
}

// smallBlob is how many bytes are rather sent than asked for.
const smallBlob = 16 << 10

// abandon ends an upload that is not needed, if one has begun, while other things are done.
func (p *Pusher) abandon(ctx context.Context, u *upload) {
	u.source.close()
	if u.location != nil {
		p.ending.Go(func() { u.abandon(context.WithoutCancel(ctx)) })
	}
}

// arrived remembers that the repository has a blob, also for other processes.
func (p *Pusher) arrived(digest v1.Hash) {
	p.to.client.found(p.repo, digest)
	p.to.client.config.Pushed.Note(p.repo.RegistryStr(), p.repo.RepositoryStr(), digest)
}

// has reports whether a blob is in the repository. A registry that does not answer that is taken for one
// that does not have it.
func (e endpoint) has(ctx context.Context, digest v1.Hash) (bool, error) {
	r := request{method: http.MethodHead, url: e.url("blobs", digest.String()), accept: []int{http.StatusOK}}
	resp, err := e.do(ctx, r)
	switch status(err) {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusBadRequest:
		return false, nil
	case http.StatusForbidden:
		if e.elsewhere(err) { // an address of a storage that is signed for GET
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	return true, nil
}

// elsewhere reports whether it was another host that answered with err.
func (e endpoint) elsewhere(err error) bool {
	answer, ok := errors.AsType[*StatusError](err)
	if !ok {
		return false
	}
	u, parseErr := url.Parse(answer.URL)
	return parseErr == nil && !sameOrigin(u, e.host.url())
}

package registry

import (
	"context"
	"iter"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// mount asks the registry to take the blob from another repository that has it. It may begin an upload
// instead, which is left in u; and if it refuses or fails, one is begun later: what cannot mount need not be out of order.
func (p *Pusher) mount(ctx context.Context, u *upload, l v1.Layer) (bool, error) {
	from, ok := p.to.client.origin(p.repo, l, u.source.digest)
	if !ok {
		return false, nil
	}
	r := request{method: http.MethodPost, url: p.to.uploads(), accept: []int{http.StatusCreated, http.StatusAccepted}}
	query := r.url.Query()
	query.Set("mount", u.source.digest.String())
	query.Set("from", from.RepositoryStr())
	r.url.RawQuery = query.Encode()
	both := p.to
	both.access.scopes = append(slices.Clone(p.to.access.scopes), scope(from.RepositoryStr(), pull))
	both.retry.Tries = min(both.retry.Tries, mountTries)
	resp, err := both.do(ctx, r)
	if status(err) != 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if resp.StatusCode == http.StatusCreated {
		resp.Body.Close()
		return true, nil
	}
	return false, u.began(resp)
}

// mountTries is how often a mount is tried: once more than once, because what it spares may be large.
const mountTries = 2

// origin returns another repository of the registry that has the blob of l.
func (c *Client) origin(to name.Repository, l v1.Layer, digest v1.Hash) (name.Repository, bool) {
	elsewhere := func(r name.Repository) bool {
		return r.RepositoryStr() != "" && r.RegistryStr() == to.RegistryStr() && r.RepositoryStr() != to.RepositoryStr()
	}
	for inner := range unwrapped(l) {
		if at, ok := inner.(interface{ Repository() name.Repository }); ok && elsewhere(at.Repository()) {
			return at.Repository(), true
		}
	}
	c.mu.Lock()
	r, ok := c.places[place{to.RegistryStr(), digest}]
	c.mu.Unlock()
	if !ok {
		r, ok = c.earlier(to.Registry, digest)
	}
	return r, ok && elsewhere(r)
}

// unwrapped yields l and the layers it wraps. They all have the same blob.
func unwrapped(l v1.Layer) iter.Seq[v1.Layer] {
	return func(yield func(v1.Layer) bool) {
		for yield(l) {
			wrapper, ok := l.(interface{ Unwrap() v1.Layer })
			if !ok {
				return
			}
			l = wrapper.Unwrap()
		}
	}
}

// found remembers that repo has a blob.
func (c *Client) found(repo name.Repository, digest v1.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places[place{repo.RegistryStr(), digest}] = repo
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/seed-298d225e/builder/httpclient"
)

// Client talks to registries. One serves a process: what it has learnt about names, tokens and places is
// shared by all that use it.
type Client struct {
	config Config
	router *router
	// http follows redirects, steady does not.
	http, steady *http.Client
	// chunk is how much of a blob is sent in one request.
	chunk int64
	// farewell is how long a registry is given to hear that an upload is given up.
	farewell time.Duration

	mu    sync.Mutex
	hosts map[string]*host
	tags  map[string]*tag
	// asking are the questions what tags stand for of which it was assumed.
	asking errgroup.Group
	slots  map[string]*slots
	// places are repositories that have a blob, by registry and digest.
	places map[place]name.Repository
	// sending has one slot for each blob on its way to a registry: who wants it in another repository there waits, and
	// has it mounted.
	sending map[place]*semaphore.Weighted
}

// slots are how many transfers may run with one registry. Down and up are apart, or else a blob on its way
// from a registry to the same one could wait for itself.
type slots struct{ down, up *semaphore.Weighted }

type place struct {
	registry string
	digest   v1.Hash
}

// New returns a client. The certificate files of all hosts in c are read, so that a wrong one is found now.
func New(c Config) (*Client, error) {
	c = c.withDefaults()
	trusted, err := certificates(c.CA, Host{})
	if err != nil {
		return nil, fmt.Errorf("configuring registries: %w", err)
	}
	guard := httpclient.NewGuard(c.Timeouts, c.Proxy)
	c.shape(guard.Transport, trusted)
	r := &router{named: map[string]http.RoundTripper{}, others: guard}
	client := &Client{
		config: c,
		router: r,
		http:   &http.Client{Transport: r, CheckRedirect: httpclient.Redirect},
		steady: &http.Client{Transport: r, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		chunk:  chunkSize, farewell: farewell,
		hosts:  map[string]*host{},
		tags:   map[string]*tag{},
		slots:  map[string]*slots{},
		places: map[place]name.Repository{},

		sending: map[place]*semaphore.Weighted{},
	}
	for n, h := range c.Hosts {
		if err := checkHost(n, h.Scheme); err != nil {
			return nil, fmt.Errorf("configuring the registry %s: %w", n, err)
		}
		if _, err := client.host(n, ""); err != nil {
			return nil, err
		}
	}
	return client, nil
}

// endpoint is a repository on one host, with the right to do something there.
type endpoint struct {
	client *Client
	host   *host
	// path is the name of the repository on the host.
	path   string
	access access
	retry  httpclient.Retry
}

// The actions of a token's scope.
const (
	pull = "pull"
	push = "pull,push"
)

func (c *Client) endpoint(h *host, repository, action string) endpoint {
	return endpoint{
		client: c, host: h, path: repository, retry: c.config.Retry,
		access: access{resource: resource{h.name, repository, h.scheme == "http"}, scopes: []string{scope(repository, action)}},
	}
}

func scope(repository, action string) string { return "repository:" + repository + ":" + action }

// upstream is where a repository really is.
func (c *Client) upstream(repo name.Repository, action string) (endpoint, error) {
	if err := checkRepository(repo.RepositoryStr()); err != nil {
		return endpoint{}, err
	}
	h, err := c.host(repo.RegistryStr(), "")
	if err != nil {
		return endpoint{}, err
	}
	if h.blocked {
		return endpoint{}, httpclient.Refusef("the registry %s is blocked by the configuration", h.name)
	}
	return c.endpoint(h, repo.RepositoryStr(), action), nil
}

// sources are where a repository can be read from: its mirrors, then itself. A mirror that fails has
// another after it, so it is not tried for long.
func (c *Client) sources(repo name.Repository) ([]endpoint, error) {
	last, err := c.upstream(repo, pull)
	if err != nil {
		return nil, err
	}
	var all []endpoint
	for _, m := range last.host.mirrors {
		e := c.endpoint(m.host, path.Join(m.prefix, repo.RepositoryStr()), pull)
		e.retry.Tries = min(2, e.retry.Tries)
		all = append(all, e)
	}
	if last.host.replaced {
		all[len(all)-1].retry = last.retry
		return all, nil
	}
	return append(all, last), nil
}

// from calls get for the sources of repo until one succeeds. The error is the one of the repository itself.
func (c *Client) from(ctx context.Context, repo name.Repository, get func(endpoint) error) error {
	sources, err := c.sources(repo)
	if err != nil {
		return err
	}
	var mirrors strings.Builder
	for _, e := range sources {
		if err = get(e); err == nil || ctx.Err() != nil {
			return err
		}
		if e.host.name != hostName(repo.RegistryStr()) {
			fmt.Fprintf(&mirrors, " (mirror %s: %v)", e.host.name, err)
		}
	}
	return fmt.Errorf("%w%s", err, mirrors.String())
}

// resource names a repository for a keychain, in the way that keychains expect it of go-containerregistry.
type resource struct {
	registry, repository string
	// plain: it is spoken to in http.
	plain bool
}

func (r resource) String() string { return r.RegistryStr() + "/" + r.repository }

func (r resource) RegistryStr() string {
	if r.registry == hubName {
		return hubIndex
	}
	return r.registry
}

// url is a place below the endpoint: "manifests", "latest".
func (e endpoint) url(kind, reference string) *url.URL {
	u := e.host.url()
	u.Path += e.path + "/" + kind + "/" + reference
	return u
}

// do sends r until the answer is one that r accepts, or an error that stays.
func (e endpoint) do(ctx context.Context, r request) (*http.Response, error) {
	resp, err := persist(ctx, e.retry, func() (*http.Response, error) { return e.attempt(ctx, r) })
	return resp, e.client.denied(ctx, e.access, err)
}

// read is do for an answer with a body of at most limit bytes, which is part of what is tried.
func (e endpoint) read(ctx context.Context, r request, limit int64) (http.Header, []byte, error) {
	var header http.Header
	body, err := persist(ctx, e.retry, func() ([]byte, error) {
		resp, err := e.attempt(ctx, r)
		if err != nil {
			return nil, err
		}
		header = resp.Header
		return readAll(resp, limit)
	})
	return header, body, e.client.denied(ctx, e.access, err)
}

// attempt sends r once, and once more if another token is asked for. Another host, be it the URL's or one
// that the registry redirects to, gets no credentials, and its challenges are not answered.
func (e endpoint) attempt(ctx context.Context, r request) (*http.Response, error) {
	c := e.client
	if !sameOrigin(r.url, e.host.url()) {
		return c.get(ctx, c.http, r, "")
	}
	header, err := c.authorize(ctx, e.host, e.access)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, c.http, r, header)
	if err != nil {
		return nil, err
	}
	if slices.Contains(r.accept, resp.StatusCode) {
		return resp, nil
	}
	refused := statusError(resp)
	asked := choose(resp.Header)
	if resp.StatusCode != http.StatusUnauthorized || asked == nil || !sameOrigin(resp.Request.URL, e.host.url()) {
		return nil, refused
	}
	if header, err = c.renew(ctx, e.host, e.access, asked, header); errors.Is(err, errNoAnswer) {
		return nil, refused
	} else if err != nil {
		return nil, err
	}
	return c.get(ctx, c.http, r, header)
}

// sendingSlot is the slot of a blob on its way to a registry.
func (c *Client) sendingSlot(p place) *semaphore.Weighted {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending[p] == nil {
		c.sending[p] = semaphore.NewWeighted(1)
	}
	return c.sending[p]
}

// registrySlots are the transfer slots of a registry.
func (c *Client) registrySlots(registry string) *slots {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[registry] == nil {
		n := int64(c.config.Connections)
		c.slots[registry] = &slots{semaphore.NewWeighted(n), semaphore.NewWeighted(n)}
	}
	return c.slots[registry]
}

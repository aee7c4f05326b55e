package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/semaphore"
)

// errNoAnswer says that nothing better than what was refused can be shown to a registry.
var errNoAnswer = errors.New("nothing to answer the challenge with")

// access is what a request needs to be allowed: scopes, with credentials of a repository.
type access struct {
	resource resource
	// scopes are as in the token specification of the distribution project: "repository:NAME:pull,push".
	scopes []string
}

// with returns the scopes and the one that a challenge asks for, unless they are about the same thing: some
// registries know a repository under another name.
func (a access) with(scope string) []string {
	thing := scope[:strings.LastIndexByte(scope, ':')+1]
	if thing == "" || slices.ContainsFunc(a.scopes, func(s string) bool { return strings.HasPrefix(s, thing) }) {
		return a.scopes
	}
	return append(slices.Clone(a.scopes), scope)
}

// guard remembers how one host wants to be answered, and the answers.
type guard struct {
	mu        sync.Mutex
	challenge *challenge
	answers   map[string]*answer
}

// answer is the Authorization header for one access.
type answer struct {
	// fetching is held while the header is renewed.
	fetching *semaphore.Weighted

	mu      sync.Mutex
	header  string
	expires time.Time // zero for never
}

func (g *guard) answer(a access) *answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := a.resource.String() + " " + strings.Join(a.scopes, " ")
	if g.answers == nil {
		g.answers = map[string]*answer{}
	}
	if g.answers[key] == nil {
		g.answers[key] = &answer{fetching: semaphore.NewWeighted(1)}
	}
	return g.answers[key]
}

func (g *guard) last() *challenge {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.challenge
}

// learn remembers a challenge, but not what it says about the one request that it answered.
func (g *guard) learn(c *challenge) {
	params := maps.Clone(c.params)
	delete(params, "scope")
	g.mu.Lock()
	defer g.mu.Unlock()
	g.challenge = &challenge{scheme: c.scheme, params: params}
}

func (a *answer) get(now time.Time) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.expires.IsZero() && now.After(a.expires) {
		return ""
	}
	return a.header
}

func (a *answer) set(header string, expires time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.header, a.expires = header, expires
}

// authorize returns the Authorization header for a request to h. It is empty as long as h has not asked
// for one.
func (c *Client) authorize(ctx context.Context, h *host, a access) (string, error) {
	asked := h.guard.last()
	if asked == nil {
		return "", nil
	}
	if header := h.guard.answer(a).get(time.Now()); header != "" {
		return header, nil
	}
	header, err := c.renew(ctx, h, a, asked, "")
	if errors.Is(err, errNoAnswer) {
		return "", nil
	}
	return header, err
}

// renew returns another header than refused, which h answered with the challenge asked. Requests that need
// the same access share one.
func (c *Client) renew(ctx context.Context, h *host, a access, asked *challenge, refused string) (string, error) {
	h.guard.learn(asked)
	ans := h.guard.answer(a)
	if err := ans.fetching.Acquire(ctx, 1); err != nil {
		return "", err
	}
	defer ans.fetching.Release(1)
	if header := ans.get(time.Now()); header != "" && header != refused {
		return header, nil
	}
	credentials, err := c.credentials(ctx, a.resource)
	if err != nil {
		return "", err
	}
	header, expires, err := c.respond(ctx, h, a, asked, credentials)
	if err != nil {
		return "", err
	}
	if header == refused {
		return "", errNoAnswer
	}
	ans.set(header, expires)
	return header, nil
}

// credentials finds those of a repository, which are empty if there are none.
func (c *Client) credentials(ctx context.Context, r resource) (*authn.AuthConfig, error) {
	keychains := []authn.Keychain{c.config.Keychain}
	if !r.plain && c.config.Tokens != nil {
		keychains = append(keychains, c.config.Tokens)
	}
	credentials := &authn.AuthConfig{}
	for _, k := range keychains {
		found, err := authn.Resolve(ctx, k, r)
		if err == nil {
			credentials, err = authn.Authorization(ctx, found)
		}
		if err != nil {
			return nil, fmt.Errorf("finding credentials for %s: %w", r, err)
		}
		if *credentials != (authn.AuthConfig{}) {
			break
		}
	}
	return credentials, nil
}

// respond makes the header that answers the challenge asked.
func (c *Client) respond(ctx context.Context, h *host, a access, asked *challenge, credentials *authn.AuthConfig) (string, time.Time, error) {
	switch {
	case credentials.RegistryToken != "":
		return "Bearer " + credentials.RegistryToken, time.Time{}, nil
	case asked.scheme == "basic":
		header, err := basic(credentials)
		return header, time.Time{}, err
	}
	t, err := c.token(ctx, h, asked, a.with(asked.params["scope"]), credentials)
	if err != nil {
		return "", time.Time{}, err
	}
	return "Bearer " + t.value(), time.Now().Add(t.lifetime()), nil
}

func basic(credentials *authn.AuthConfig) (string, error) {
	if credentials.Username == "" && credentials.Password == "" {
		return "", errNoAnswer
	}
	pair := credentials.Username + ":" + credentials.Password
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)), nil
}

// denied says of an answer 401 or 403 whether there were credentials at all.
func (c *Client) denied(ctx context.Context, a access, err error) error {
	if s := status(err); (s != http.StatusUnauthorized && s != http.StatusForbidden) || a.scopes == nil {
		return err
	}
	credentials, lookupErr := c.credentials(ctx, a.resource)
	if lookupErr != nil {
		return err
	}
	if *credentials == (authn.AuthConfig{}) {
		return fmt.Errorf("%w (there are no credentials for %s)", err, a.resource.registry)
	}
	return fmt.Errorf("%w (with the credentials for %s)", err, a.resource.registry)
}

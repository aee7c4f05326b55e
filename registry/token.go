package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// maxToken is how long the answer of a token server may be.
const maxToken = 1 << 20

// token is the answer of a token server. What else is in it, such as a refresh token, is not looked at.
type token struct {
	Token       string `json:"token"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
}

func (t token) value() string {
	if t.Token != "" {
		return t.Token
	}
	return t.AccessToken
}

// lifetime is how long the token is used: a little shorter than it is valid. Without a word about it that
// is a minute, by the token specification of the distribution project.
func (t token) lifetime() time.Duration {
	const shortest, margin = time.Minute, 10 * time.Second
	const longest = 12 * time.Hour
	valid := time.Duration(min(max(t.ExpiresIn, 0), int64(longest/time.Second))) * time.Second
	return max(valid, shortest) - margin
}

// token gets a token for scopes from the server that asked names.
func (c *Client) token(ctx context.Context, h *host, asked *challenge, scopes []string, credentials *authn.AuthConfig) (token, error) {
	realm, err := asked.realm(h.url())
	if err != nil {
		return token{}, err
	}
	r, authorization, via := c.tokenRequest(realm, asked.params["service"], scopes, credentials)
	body, err := persist(ctx, c.config.Retry, func() ([]byte, error) {
		resp, err := c.get(ctx, via, r, authorization)
		if err != nil {
			return nil, err
		}
		return readAll(resp, maxToken)
	})
	if err != nil {
		return token{}, fmt.Errorf("getting a token for %s: %w", h.name, err)
	}
	var t token
	if err := json.Unmarshal(body, &t); err != nil || t.value() == "" {
		return token{}, fmt.Errorf("getting a token for %s: the answer of %s holds none", h.name, realm.Host)
	}
	return t, nil
}

// tokenRequest is a GET with the user's password, or a POST with an identity token. A POST has the secret
// in its body, so it is never redirected.
func (c *Client) tokenRequest(realm *url.URL, service string, scopes []string, credentials *authn.AuthConfig) (r request, authorization string, via *http.Client) {
	r = request{method: http.MethodGet, url: realm, accept: []int{http.StatusOK}}
	if credentials.IdentityToken != "" {
		form := url.Values{
			"grant_type":    {"refresh_token"},
			"refresh_token": {credentials.IdentityToken},
			"service":       {service},
			"scope":         {strings.Join(scopes, " ")},
			"client_id":     {c.config.UserAgent},
		}.Encode()
		r.method = http.MethodPost
		r.size = int64(len(form))
		r.body = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(form)), nil }
		return r.set("Content-Type", "application/x-www-form-urlencoded"), "", c.steady
	}
	query := realm.Query()
	if service != "" {
		query.Set("service", service)
	}
	query["scope"] = scopes
	if credentials.Username != "" {
		query.Set("account", credentials.Username)
	}
	u := *realm
	u.RawQuery = query.Encode()
	r.url = &u
	authorization, _ = basic(credentials) // without credentials the token is an anonymous one
	return r, authorization, c.http
}

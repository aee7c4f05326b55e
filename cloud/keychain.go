package cloud

import (
	"context"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Keychain returns the credentials of all services that are known here. getenv looks up a variable.
func Keychain(getenv func(string) string) authn.Keychain { //nolint:ireturn // one of any kind
	client := &http.Client{Timeout: 30 * time.Second, CheckRedirect: noRedirect}
	return authn.NewMultiKeychain(
		gitLab(getenv), gitHub(getenv), source((&amazon{}).credentials), &googleKeychain{getenv: getenv},
		source((&azure{getenv: getenv, client: client}).credentials),
	)
}

// noRedirect is the policy for requests that have secrets in them.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// source finds the credentials for a host. They are empty if there are none.
type source func(ctx context.Context, host string) (authn.AuthConfig, error)

// Resolve implements authn.Keychain.
func (s source) Resolve(r authn.Resource) (authn.Authenticator, error) { //nolint:ireturn // the interface
	return s.ResolveContext(context.Background(), r) //nolint:forbidigo // the interface has no context
}

// ResolveContext implements authn.ContextKeychain.
func (s source) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) { //nolint:ireturn // the interface
	found, err := s(ctx, r.RegistryStr())
	if err != nil || found == (authn.AuthConfig{}) {
		return authn.Anonymous, err
	}
	return authn.FromConfig(found), nil
}

// password returns credentials unless the password is empty.
func password(user, password string) authn.AuthConfig {
	if password == "" {
		return authn.AuthConfig{}
	}
	return authn.AuthConfig{Username: user, Password: password}
}

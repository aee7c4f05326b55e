package cloud

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	googleauth "github.com/google/go-containerregistry/pkg/v1/google"
)

// googleHosts are Container Registry and Artifact Registry.
var googleHosts = regexp.MustCompile(`^(?:(?:asia\.|eu\.|us\.|mirror\.|marketplace\.|k8s\.)?gcr\.io|[a-z0-9-]+-docker\.pkg\.dev)$`)

// googleKeychain finds the application default credentials: $GOOGLE_APPLICATION_CREDENTIALS, those of gcloud, workload
// identity, or of the machine. They are looked for once.
type googleKeychain struct {
	getenv func(string) string

	mu    sync.Mutex
	found authn.Authenticator
}

// Resolve implements authn.Keychain.
func (g *googleKeychain) Resolve(r authn.Resource) (authn.Authenticator, error) { //nolint:ireturn // the interface
	return g.ResolveContext(context.Background(), r) //nolint:forbidigo // the interface has no context
}

// ResolveContext implements authn.ContextKeychain.
func (g *googleKeychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) { //nolint:ireturn // the interface
	if !googleHosts.MatchString(r.RegistryStr()) {
		return authn.Anonymous, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.found == nil {
		found, err := g.find(context.WithoutCancel(ctx)) // a token is renewed when who asked first may be gone
		if err != nil {
			return nil, err
		}
		g.found = found
	}
	return g.found, nil
}

// find returns the credentials. A file that was named must be good; all else may be missing, because images can be
// public.
func (g *googleKeychain) find(ctx context.Context) (authn.Authenticator, error) { //nolint:ireturn // of one kind or another
	const variable = "GOOGLE_APPLICATION_CREDENTIALS"
	found, err := googleauth.NewEnvAuthenticator(ctx)
	if err == nil {
		return found, nil
	}
	if g.getenv(variable) != "" {
		return nil, fmt.Errorf("using $%s: %s", variable, strings.Join(strings.Fields(err.Error()), " ")) // on one line
	}
	if found, err = googleauth.NewGcloudAuthenticator(ctx); err == nil {
		return found, nil
	}
	return authn.Anonymous, nil
}

package cloud

import (
	"context"
	"regexp"

	"github.com/google/go-containerregistry/pkg/authn"
	googleauth "github.com/google/go-containerregistry/pkg/v1/google"
)

// googleHosts are Container Registry and Artifact Registry.
var googleHosts = regexp.MustCompile(`^(?:(?:asia\.|eu\.|us\.|mirror\.|marketplace\.|k8s\.)?gcr\.io|[a-z0-9-]+-docker\.pkg\.dev)$`)

// google returns the application default credentials: $GOOGLE_APPLICATION_CREDENTIALS, those of gcloud, workload
// identity, or of the machine.
func google() authn.Keychain { //nolint:ireturn // the other keychain
	return googleKeychain{}
}

type googleKeychain struct{}

// Resolve implements authn.Keychain.
func (g googleKeychain) Resolve(r authn.Resource) (authn.Authenticator, error) { //nolint:ireturn // the interface
	return g.ResolveContext(context.Background(), r) //nolint:forbidigo // the interface has no context
}

// ResolveContext implements authn.ContextKeychain.
func (googleKeychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) { //nolint:ireturn // the interface
	if !googleHosts.MatchString(r.RegistryStr()) {
		return authn.Anonymous, nil
	}
	return authn.Resolve(ctx, googleauth.Keychain, r)
}

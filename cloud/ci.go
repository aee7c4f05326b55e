package cloud

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"
)

// gitLab returns the credentials that a GitLab job has for the registry and the dependency proxy of its GitLab
// (docs.gitlab.com, "Predefined CI/CD variables").
func gitLab(getenv func(string) string) source {
	return func(_ context.Context, host string) (authn.AuthConfig, error) {
		switch {
		case host == "":
		case host == getenv("CI_REGISTRY") && getenv("CI_REGISTRY_PASSWORD") != "":
			return password(getenv("CI_REGISTRY_USER"), getenv("CI_REGISTRY_PASSWORD")), nil
		case host == getenv("CI_REGISTRY"):
			return password("gitlab-ci-token", getenv("CI_JOB_TOKEN")), nil
		case host == getenv("CI_DEPENDENCY_PROXY_SERVER"):
			return password(getenv("CI_DEPENDENCY_PROXY_USER"), getenv("CI_DEPENDENCY_PROXY_PASSWORD")), nil
		}
		return authn.AuthConfig{}, nil
	}
}

// gitHub returns the token of a GitHub workflow for GitHub's registry.
func gitHub(getenv func(string) string) source {
	return func(_ context.Context, host string) (authn.AuthConfig, error) {
		if host != "ghcr.io" {
			return authn.AuthConfig{}, nil
		}
		user := getenv("GITHUB_ACTOR")
		if user == "" {
			user = "token" // the registry looks at the token alone
		}
		return password(user, getenv("GITHUB_TOKEN")), nil
	}
}

package cloud

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seed-298d225e/builder/registry"
)

// amazon finds credentials for Amazon's registries with whatever credentials for AWS there are: the environment,
// shared configuration, web identity (IRSA), EKS pod identity, the container's (ECS, CodeBuild) or the machine's
// (IMDSv2), in the order of the AWS SDK.
type amazon struct {
	mu     sync.Mutex
	tokens map[registry.ECR]amazonToken
}

// amazonToken is what docker logs in with, for 12 hours.
type amazonToken struct {
	authn.AuthConfig
	expires time.Time
}

// credentials implements source.
func (a *amazon) credentials(ctx context.Context, host string) (authn.AuthConfig, error) {
	r, ok := registry.ParseECR(host)
	if !ok {
		return authn.AuthConfig{}, nil
	}
	const margin = 5 * time.Minute
	a.mu.Lock()
	defer a.mu.Unlock()
	if t, ok := a.tokens[r]; ok && time.Until(t.expires) > margin {
		return t.AuthConfig, nil
	}
	t, err := amazonLogin(ctx, r)
	switch {
	case err != nil && r.Public:
		return authn.AuthConfig{}, nil // everybody may pull there; who pushes is told that there are no credentials
	case err != nil:
		return authn.AuthConfig{}, fmt.Errorf("asking AWS for a token for %s: %w", host, err)
	}
	if a.tokens == nil {
		a.tokens = map[registry.ECR]amazonToken{}
	}
	a.tokens[r] = t
	return t.AuthConfig, nil
}

// amazonLogin asks for an authorization token.
func amazonLogin(ctx context.Context, r registry.ECR) (amazonToken, error) {
	const longest = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	c, err := amazonConfig(ctx, r)
	if err != nil {
		return amazonToken{}, err
	}
	if r.Public {
		answer, err := ecrpublic.NewFromConfig(c).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
		if err != nil {
			return amazonToken{}, err
		}
		return newAmazonToken(answer.AuthorizationData.AuthorizationToken, answer.AuthorizationData.ExpiresAt)
	}
	answer, err := ecr.NewFromConfig(c).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return amazonToken{}, err
	}
	if len(answer.AuthorizationData) == 0 {
		return amazonToken{}, errors.New("the answer is empty")
	}
	return newAmazonToken(answer.AuthorizationData[0].AuthorizationToken, answer.AuthorizationData[0].ExpiresAt)
}

// amazonConfig finds the credentials for AWS.
func amazonConfig(ctx context.Context, r registry.ECR) (aws.Config, error) {
	c, err := config.LoadDefaultConfig(ctx, config.WithRegion(r.Region), config.WithRetryMaxAttempts(3))
	if err == nil && r.FIPS {
		c, err = config.LoadDefaultConfig(ctx, config.WithRegion(r.Region), config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	return c, err
}

// newAmazonToken takes apart what docker logs in with: user:password in base64.
func newAmazonToken(text *string, expires *time.Time) (amazonToken, error) {
	decoded, err := base64.StdEncoding.DecodeString(aws.ToString(text))
	user, secret, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok {
		return amazonToken{}, errors.New("the token is not user:password in base64")
	}
	return amazonToken{authn.AuthConfig{Username: user, Password: secret}, aws.ToTime(expires)}, nil
}

package cloud

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	publictypes "github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"

	"github.com/seed-298d225e/builder/registry"
)

// ErrNotAmazon says that a host is none of Amazon's registries, where alone repositories can be created.
var ErrNotAmazon = errors.New("repositories are created in Amazon's registry only")

// CreateRepository creates a repository of Amazon's registry unless it exists, and reports whether it has.
func CreateRepository(ctx context.Context, host, repository string) (created bool, err error) {
	r, ok := registry.ParseECR(host)
	if !ok {
		return false, ErrNotAmazon
	}
	if r.Public {
		created, err = createPublic(ctx, r, repository)
	} else {
		created, err = createPrivate(ctx, r, repository)
	}
	if err != nil {
		return false, fmt.Errorf("creating the repository %s/%s: %w", host, repository, err)
	}
	return created, nil
}

func createPrivate(ctx context.Context, r registry.ECR, repository string) (bool, error) {
	c, err := amazonConfig(ctx, r)
	if err != nil {
		return false, err
	}
	_, err = ecr.NewFromConfig(c).CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: &repository, RegistryId: &r.Account})
	if _, exists := errors.AsType[*types.RepositoryAlreadyExistsException](err); exists {
		return false, nil
	}
	return err == nil, err
}

func createPublic(ctx context.Context, r registry.ECR, repository string) (bool, error) {
	c, err := amazonConfig(ctx, r)
	if err != nil {
		return false, err
	}
	_, repository, _ = strings.Cut(repository, "/") // the first part is the alias of the registry
	_, err = ecrpublic.NewFromConfig(c).CreateRepository(ctx, &ecrpublic.CreateRepositoryInput{RepositoryName: &repository})
	if _, exists := errors.AsType[*publictypes.RepositoryAlreadyExistsException](err); exists {
		return false, nil
	}
	return err == nil, err
}

// ImmutableTags reports whether the tags of a repository cannot be moved. That is known of Amazon's private
// registry alone.
func ImmutableTags(ctx context.Context, host, repository string) (bool, error) {
	r, ok := registry.ParseECR(host)
	if !ok || r.Public {
		return false, nil
	}
	c, err := amazonConfig(ctx, r)
	if err != nil {
		return false, err
	}
	answer, err := ecr.NewFromConfig(c).DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{
		RegistryId: &r.Account, RepositoryNames: []string{repository},
	})
	if err != nil || len(answer.Repositories) == 0 {
		return false, err
	}
	return answer.Repositories[0].ImageTagMutability == types.ImageTagMutabilityImmutable, nil
}

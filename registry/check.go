package registry

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Check finds out whether the repository can be pushed to, by beginning an upload, which is given up again
// without anybody waiting for that but Close. The error says what to do about it.
func (p *Pusher) Check(ctx context.Context) error {
	u := &upload{endpoint: p.to}
	r := request{method: http.MethodPost, url: p.to.uploads(), accept: []int{http.StatusAccepted}}
	resp, err := p.to.do(ctx, r)
	if err == nil {
		err = u.began(resp)
	}
	if err != nil {
		return fmt.Errorf("checking write access to %s: %w%s", display(p.repo), err, advice(p.repo, err))
	}
	p.ending.Go(func() { u.abandon(context.WithoutCancel(ctx)) })
	return nil
}

// Close waits until what Check began has been given up. Nothing may be asked of p afterwards.
func (p *Pusher) Close() { p.ending.Wait() }

// advice is what to do about an error of a push, as the end of a sentence. It may be empty.
func advice(repo name.Repository, err error) string {
	registry := hostName(repo.RegistryStr())
	switch status(err) {
	case http.StatusUnauthorized:
		return "; log in to " + registry + " first"
	case http.StatusForbidden:
		return "; these credentials may not push there"
	case http.StatusNotFound:
		if command := createRepository(registry, repo.RepositoryStr()); command != "" {
			return "; if the repository does not exist, create it with --create-repo or with: " + command
		}
		return "; if the repository does not exist, create it"
	}
	return ""
}

// createRepository is the command that creates a repository of Amazon's registry, empty for any other.
func createRepository(registry, repository string) string {
	r, ok := ParseECR(registry)
	switch {
	case !ok:
		return ""
	case r.Public:
		_, rest, _ := strings.Cut(repository, "/") // the first part is the alias of the registry
		return "aws ecr-public create-repository --region us-east-1 --repository-name " + rest
	}
	return "aws ecr create-repository --region " + r.Region + " --repository-name " + repository
}

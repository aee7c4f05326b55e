package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seed-298d225e/builder/httpclient"
)

// maxTags is how many tags of a repository are listed at most.
const maxTags = 1 << 20

// Tags lists the tags of a repository. One that does not exist is fs.ErrNotExist.
func (c *Client) Tags(ctx context.Context, repo name.Repository) ([]string, error) {
	e, err := c.upstream(repo, pull)
	if err != nil {
		return nil, err
	}
	var tags []string
	for next := e.url("tags", "list"); next != nil; {
		r := request{method: http.MethodGet, url: next, accept: []int{http.StatusOK}}
		header, raw, err := e.read(ctx, r, maxManifest)
		if err != nil {
			return nil, fmt.Errorf("listing the tags of %s: %w", display(repo), err)
		}
		var page struct {
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, fmt.Errorf("listing the tags of %s: %w", display(repo), err)
		}
		tags = append(tags, page.Tags...)
		if len(tags) > maxTags {
			return nil, fmt.Errorf("listing the tags of %s: there are more than %d", display(repo), maxTags)
		}
		if next, err = nextPage(next, header.Get("Link")); err != nil {
			return nil, fmt.Errorf("listing the tags of %s: %w", display(repo), err)
		}
	}
	return tags, nil
}

var nextLink = regexp.MustCompile(`^<([^>]+)>\s*;\s*rel="?next"?`)

// nextPage is where a Link header says that a list goes on, nil if it does not. It stays on the host.
func nextPage(here *url.URL, link string) (*url.URL, error) {
	match := nextLink.FindStringSubmatch(strings.TrimSpace(link))
	if match == nil {
		return nil, nil
	}
	to, err := here.Parse(match[1])
	if err != nil || !sameOrigin(here, to) {
		return nil, httpclient.Refusef("the registry sends the list to another place")
	}
	return to, nil
}

// Delete removes a tag, or a manifest by its digest. Not every registry lets that be done.
func (c *Client) Delete(ctx context.Context, repo name.Repository, reference string) error {
	if err := checkReference(reference); err != nil {
		return err
	}
	e, err := c.upstream(repo, push)
	if err != nil {
		return err
	}
	e.access.scopes = []string{scope(repo.RepositoryStr(), "pull,push,delete")}
	r := request{method: http.MethodDelete, url: e.url("manifests", reference), accept: []int{http.StatusAccepted, http.StatusOK, http.StatusNoContent, http.StatusNotFound}}
	resp, err := e.do(ctx, r)
	if err != nil {
		return fmt.Errorf("deleting %s of %s: %w", reference, display(repo), err)
	}
	resp.Body.Close()
	return nil
}

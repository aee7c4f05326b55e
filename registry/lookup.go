package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Lookup returns the manifest or index that a tag stands for now, in one request where Resolve needs two. A tag
// that does not exist is fs.ErrNotExist.
func (c *Client) Lookup(ctx context.Context, tag name.Tag) (*Manifest, error) {
	if err := checkReference(tag.TagStr()); err != nil {
		return nil, err
	}
	var m *Manifest
	err := c.from(ctx, tag.Context(), func(e endpoint) (err error) {
		m, err = e.manifest(ctx, tag.TagStr(), v1.Hash{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", display(tag), err)
	}
	return m, nil
}

// Exists reports whether there is a tag.
func (c *Client) Exists(ctx context.Context, tag name.Tag) (bool, error) {
	if err := checkReference(tag.TagStr()); err != nil {
		return false, err
	}
	e, err := c.upstream(tag.Context(), pull)
	if err != nil {
		return false, err
	}
	resp, err := e.do(ctx, e.manifestRequest(http.MethodHead, tag.TagStr()))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking up %s: %w", display(tag), err)
	}
	resp.Body.Close()
	return true, nil
}

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Manifest puts a manifest or index into the repository, under its digest and under the tags. Everything
// that it refers to must have been pushed by p. A tag that has it already is left alone.
func (p *Pusher) Manifest(ctx context.Context, media types.MediaType, raw []byte, tags ...string) error {
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if len(tags) == 0 {
		tags = []string{digest.String()}
	}
	for _, reference := range tags {
		if err := checkReference(reference); err != nil {
			return err
		}
		if err := p.publish(ctx, reference, digest, media, raw); err != nil {
			return fmt.Errorf("pushing %s to %s: %w", named(reference, digest), display(p.repo), err)
		}
		p.to.client.forget(p.repo, reference)
	}
	return nil
}

// named is what a manifest is called in errors.
func named(reference string, digest v1.Hash) string {
	if reference == digest.String() {
		return "manifest " + reference
	}
	return "tag " + reference
}

// forget makes a tag be resolved anew.
func (c *Client) forget(repo name.Repository, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tags, repo.Tag(tag).Name())
}

func (p *Pusher) publish(ctx context.Context, reference string, digest v1.Hash, media types.MediaType, raw []byte) error {
	if p.present.stands(reference, digest) || !p.present.lacks(reference) && p.stands(ctx, reference, digest) {
		return nil
	}
	_, err := p.putManifest(ctx, reference, digest, media, raw)
	if blobUnknown(err) {
		// The registry has thrown away a blob that it had when it was asked.
		if err := p.again(ctx, raw); err != nil {
			return err
		}
		_, err = p.putManifest(ctx, reference, digest, media, raw)
	}
	// A registry may fail after it has stored the manifest, and refuse it the next time if its tags cannot be moved.
	if err != nil && !errors.Is(err, ErrCorrupt) && p.stands(ctx, reference, digest) {
		return nil
	}
	return err
}

// stands reports whether the registry says that a reference stands for digest.
func (p *Pusher) stands(ctx context.Context, reference string, digest v1.Hash) bool {
	resp, err := p.to.do(ctx, p.to.manifestRequest(http.MethodHead, reference))
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.Header.Get("Docker-Content-Digest") == digest.String()
}

func (p *Pusher) putManifest(ctx context.Context, reference string, digest v1.Hash, media types.MediaType, raw []byte) (http.Header, error) {
	r := request{
		method: http.MethodPut, url: p.to.url("manifests", reference), accept: []int{http.StatusCreated, http.StatusOK, http.StatusAccepted},
		size: int64(len(raw)), body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
	}
	resp, err := p.to.do(ctx, r.set("Content-Type", string(media)))
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if said := resp.Header.Get("Docker-Content-Digest"); said != "" && said != digest.String() {
		return nil, corruptf("the registry has stored %s instead of %s", oneLine(said), digest)
	}
	return resp.Header, nil
}

func blobUnknown(err error) bool {
	s, ok := errors.AsType[*StatusError](err)
	return ok && (s.Code == "MANIFEST_BLOB_UNKNOWN" || s.Code == "BLOB_UNKNOWN")
}

// again pushes the blobs of a manifest once more, whatever the registry says about having them.
func (p *Pusher) again(ctx context.Context, raw []byte) error {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		p.mu.Lock()
		b := p.blobs[d.Digest]
		p.mu.Unlock()
		if b == nil {
			return fmt.Errorf("pushing layer %s once more: it was not pushed from here: %w", d.Digest, fs.ErrNotExist)
		}
		if err := p.join(ctx, b.layer, d.Digest, true); err != nil {
			return err
		}
	}
	return nil
}

package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Referrer puts a manifest that says something about another one, its subject, into the repository. Everything
// that it refers to must have been pushed by p; the subject may follow. A registry that keeps no list of what
// refers to a manifest gets one under a tag (OCI distribution specification 1.1, "Pushing Manifests with
// Subject" and "Referrers Tag Schema").
func (p *Pusher) Referrer(ctx context.Context, raw []byte) error {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if m.Subject == nil {
		return errors.New("pushing a referrer: it has no subject")
	}
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	header, err := p.putManifest(ctx, digest.String(), digest, m.MediaType, raw)
	if err == nil && header.Get("OCI-Subject") == "" {
		err = p.addReferrer(ctx, m.Subject.Digest, v1.Descriptor{
			MediaType: m.MediaType, Digest: digest, Size: size, ArtifactType: artifactType(m), Annotations: m.Annotations,
		})
	}
	if err != nil {
		return fmt.Errorf("pushing manifest %s to %s: %w", digest, display(p.repo), err)
	}
	return nil
}

// artifactType is the type of a manifest in lists of referrers.
func artifactType(m *v1.Manifest) string {
	if m.ArtifactType == "" {
		return string(m.Config.MediaType)
	}
	return m.ArtifactType
}

// referrersTag is the tag of the list of what refers to a manifest.
func referrersTag(subject v1.Hash) string { return subject.Algorithm + "-" + subject.Hex }

// addReferrer adds d to the list under the tag.
func (p *Pusher) addReferrer(ctx context.Context, subject v1.Hash, d v1.Descriptor) error {
	p.referrers.Lock()
	defer p.referrers.Unlock()
	index := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	tag := referrersTag(subject)
	switch m, err := p.to.manifest(ctx, tag, v1.Hash{}); {
	case status(err) == http.StatusNotFound:
	case err != nil:
		return err
	case m.Index == nil:
		return fmt.Errorf("the tag %s, which is for a list of referrers, stands for something else", tag)
	default:
		index = m.Index
	}
	for _, there := range index.Manifests {
		if there.Digest == d.Digest {
			return nil
		}
	}
	index.Manifests = append(index.Manifests, d)
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return p.Manifest(ctx, index.MediaType, raw, tag)
}

// Referrers lists the manifests that refer to the one that ref names, as its registry knows them or, if it keeps
// no such list, as they stand under the tag. There may be none.
func (c *Client) Referrers(ctx context.Context, ref name.Digest) ([]v1.Descriptor, error) {
	subject, err := v1.NewHash(ref.DigestStr())
	if err != nil {
		return nil, err
	}
	var list []v1.Descriptor
	err = c.from(ctx, ref.Context(), func(e endpoint) (err error) {
		list, err = e.referrers(ctx, subject)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for what refers to %s: %w", display(ref), err)
	}
	return list, nil
}

func (e endpoint) referrers(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	r := request{method: http.MethodGet, url: e.url("referrers", subject.String()), accept: []int{http.StatusOK}}
	header, raw, err := e.read(ctx, r.set("Accept", string(types.OCIImageIndex)), maxManifest)
	if err == nil && strings.HasPrefix(header.Get("Content-Type"), string(types.OCIImageIndex)) {
		m, err := parseManifest(raw)
		if err != nil {
			return nil, err
		}
		if m.Index == nil {
			return nil, errors.New("the list of referrers is not an index")
		}
		return m.Index.Manifests, nil
	}
	m, err := e.manifest(ctx, referrersTag(subject), v1.Hash{})
	switch {
	case status(err) == http.StatusNotFound:
		return nil, nil
	case err != nil:
		return nil, err
	case m.Index == nil:
		return nil, nil
	}
	return m.Index.Manifests, nil
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/httpclient"
)

// maxDepth is how many indexes may stand one in another.
const maxDepth = 3

// Choose picks one entry of an index. The error says what was looked for.
type Choose func(*v1.IndexManifest) (v1.Descriptor, error)

// Resolve finds the image that ref names. If that is an index, choose picks its entries on the way down. An
// error is a [NameError]; of a name that does not exist it is fs.ErrNotExist. The bytes of layers are not touched.
func (c *Client) Resolve(ctx context.Context, ref name.Reference, choose Choose) (*Image, error) {
	i, err := c.resolve(ctx, ref, choose)
	if err != nil {
		return nil, &NameError{Name: display(ref), Err: err}
	}
	return i, nil
}

// NameError says that a name could not be resolved. Who has said so already, and perhaps by another name, goes on
// with Err.
type NameError struct {
	Name string
	Err  error
}

func (e *NameError) Error() string { return fmt.Sprintf("resolving %s: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *NameError) Unwrap() error { return e.Err }

// display is a reference or repository as people write it.
func display(ref interface{ Name() string }) string {
	return strings.Replace(ref.Name(), hubIndex+"/", hubName+"/", 1)
}

func (c *Client) resolve(ctx context.Context, ref name.Reference, choose Choose) (*Image, error) {
	repo := ref.Context()
	m, err := c.manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	named := m.Descriptor
	m, err = descend(m, choose, func(d v1.Descriptor) (*Manifest, error) { return c.entry(ctx, repo, d) })
	if err != nil {
		return nil, err
	}
	raw, config, err := c.imageConfig(ctx, repo, m.Image)
	if err != nil {
		return nil, err
	}
	return &Image{
		Ref: repo.Digest(m.Descriptor.Digest.String()), Named: named, Manifest: m,
		RawConfig: raw, Config: config,
		layer: func(ctx context.Context, d v1.Descriptor, diffID v1.Hash) *Layer {
			return c.Layer(ctx, repo, d, diffID)
		},
	}, nil
}

// descend goes from an index down to the manifest of an image.
func descend(m *Manifest, choose Choose, entry func(v1.Descriptor) (*Manifest, error)) (*Manifest, error) {
	for depth := 1; m.Index != nil; depth++ {
		if depth > maxDepth {
			return nil, fmt.Errorf("there are more than %d indexes one in another", maxDepth)
		}
		d, err := choose(m.Index)
		if err != nil {
			return nil, err
		}
		if m, err = entry(d); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Manifest returns the manifest or index that ref names.
func (c *Client) Manifest(ctx context.Context, ref name.Reference) (*Manifest, error) {
	m, err := c.manifest(ctx, ref)
	if err != nil {
		return nil, &NameError{Name: display(ref), Err: err}
	}
	return m, nil
}

func (c *Client) manifest(ctx context.Context, ref name.Reference) (*Manifest, error) {
	if err := checkReference(ref.Identifier()); err != nil {
		return nil, err
	}
	if _, ok := ref.(name.Tag); ok {
		return c.tagged(ctx, ref)
	}
	want, err := v1.NewHash(ref.Identifier())
	if err != nil {
		return nil, err
	}
	return c.byDigest(ctx, ref.Context(), want)
}

// entry returns what an entry of an index points at.
func (c *Client) entry(ctx context.Context, repo name.Repository, d v1.Descriptor) (*Manifest, error) {
	if d.Size > maxManifest {
		return nil, fmt.Errorf("the manifest %s is %d bytes long, more than the allowed %d", d.Digest, d.Size, maxManifest)
	}
	m, err := c.byDigest(ctx, repo, d.Digest)
	if err != nil {
		return nil, err
	}
	return m, m.is(d)
}

// is checks that m is what a descriptor with its digest describes.
func (m *Manifest) is(d v1.Descriptor) error {
	if err := m.fits(string(d.MediaType)); err != nil {
		return err
	}
	if m.Descriptor.Size != d.Size {
		return corruptf("the manifest %s is %d bytes long and not %d", d.Digest, m.Descriptor.Size, d.Size)
	}
	return nil
}

// tagged asks for the digest first: with what is kept from earlier, that is often all. Registries that do
// not answer HEAD, or do not tell the digest, are asked for the manifest itself; so are those that refuse,
// because only then they say why.
func (e endpoint) tagged(ctx context.Context, tag string) (*Manifest, error) {
	head := e.manifestRequest(http.MethodHead, tag)
	resp, err := e.do(ctx, head)
	if s := status(err); err != nil && (s < 400 || s >= 500 || httpclient.Transient(err)) {
		return nil, err
	}
	if err == nil {
		resp.Body.Close()
		if digest, err := v1.NewHash(resp.Header.Get("Docker-Content-Digest")); err == nil {
			if m := e.client.kept(digest); m != nil {
				return m, nil
			}
			return e.manifest(ctx, digest.String(), digest)
		}
	}
	return e.manifest(ctx, tag, v1.Hash{})
}

func (e endpoint) manifestRequest(method, reference string) request {
	accept := []string{
		string(types.OCIImageIndex), string(types.DockerManifestList),
		string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
	}
	r := request{method: method, url: e.url("manifests", reference), accept: []int{http.StatusOK}}
	return r.set("Accept", strings.Join(accept, ", "))
}

// byDigest returns a manifest that may have been fetched before.
func (c *Client) byDigest(ctx context.Context, repo name.Repository, want v1.Hash) (*Manifest, error) {
	if m := c.kept(want); m != nil {
		return m, nil
	}
	var m *Manifest
	err := c.from(ctx, repo, func(e endpoint) (err error) {
		m, err = e.manifest(ctx, want.String(), want)
		return err
	})
	return m, err
}

// kept returns a manifest out of what is kept, nil if it is not there.
func (c *Client) kept(want v1.Hash) *Manifest {
	raw, err := c.config.Blobs.Get(want)
	if err != nil || verify(raw, want) != nil {
		return nil
	}
	m, err := parseManifest(raw)
	if err != nil {
		return nil
	}
	m.Descriptor.Digest = want
	return m
}

// manifest fetches a manifest, and once more if it is not what was wanted. A zero want is any digest.
func (e endpoint) manifest(ctx context.Context, reference string, want v1.Hash) (*Manifest, error) {
	m, err := e.manifestOnce(ctx, reference, want)
	if errors.Is(err, ErrCorrupt) {
		m, err = e.manifestOnce(ctx, reference, want)
	}
	return m, err
}

func (e endpoint) manifestOnce(ctx context.Context, reference string, want v1.Hash) (*Manifest, error) {
	header, raw, err := e.read(ctx, e.manifestRequest(http.MethodGet, reference), maxManifest)
	if err != nil {
		return nil, err
	}
	announced := header.Get("Content-Type")
	if err := isManifest(announced); err != nil {
		return nil, err
	}
	if said := header.Get("Docker-Content-Digest"); said != "" && want == (v1.Hash{}) {
		if want, err = v1.NewHash(said); err != nil {
			return nil, fmt.Errorf("the registry names the digest of the manifest wrongly: %w", err)
		}
	}
	if want != (v1.Hash{}) {
		if err := verify(raw, want); err != nil {
			return nil, fmt.Errorf("the manifest: %w", err)
		}
	}
	m, err := parseManifest(raw)
	if err != nil {
		return nil, err
	}
	if err := m.fits(announced); err != nil {
		return nil, err
	}
	if want != (v1.Hash{}) {
		m.Descriptor.Digest = want
	}
	_ = e.client.config.Blobs.Put(m.Descriptor.Digest, raw) // what is not kept is fetched again
	return m, nil
}

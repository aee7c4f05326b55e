package exporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// Pusher puts blobs and manifests into one repository of a registry.
type Pusher interface {
	// Layer returns when the blob of l is in the repository. Calls for one blob share one upload.
	Layer(ctx context.Context, l v1.Layer) error
	// Manifest puts a manifest there, under its digest and under the tags.
	Manifest(ctx context.Context, media types.MediaType, raw []byte, tags ...string) error
	// Referrer puts a manifest there that refers to another one as its subject, so that it can be found by that.
	Referrer(ctx context.Context, raw []byte) error
}

// Registry pushes results to repositories: type=registry, or type=image with push=true.
type Registry struct {
	destinations []destination
	// canonical adds NAME@DIGEST to the names.
	canonical bool
	sign      func(context.Context, name.Repository, v1.Hash) (v1.Image, string, error)
	attest    func(context.Context, name.Repository, v1.Hash, []Statement) (v1.Image, string, error)

	// early are the uploads that Layer has begun; stops end them.
	early errgroup.Group
	mu    sync.Mutex
	stops []context.CancelFunc
	// temp is for blobs that go to several places, which are in shared.
	temp   string
	shared map[v1.Hash]*shared
}

// destination is a repository and the tags that are wanted there.
type destination struct {
	Pusher
	repository name.Repository
	tags       []string
}

// RegistryOptions say how results are pushed.
type RegistryOptions struct {
	// Names are where to.
	Names []string
	// ByDigest pushes without tags: push-by-digest. Names have none then.
	ByDigest bool
	// Canonical tells NAME@DIGEST beside every name: name-canonical.
	Canonical bool
	// Temp is a directory for blobs on their way from one registry to several; empty is the system's.
	Temp string
	// Sign, if not nil, returns the signature of a manifest in a repository: an image, and the tag it goes under. The
	// image is nil if the manifest is signed already.
	Sign func(ctx context.Context, repository name.Repository, digest v1.Hash) (signature v1.Image, tag string, err error)
	// Attest, if not nil, returns signed statements about an image in the same way.
	Attest func(ctx context.Context, repository name.Repository, digest v1.Hash, statements []Statement) (signed v1.Image, tag string, err error)
	// Open returns the pusher of a repository. It is called once for each.
	Open func(name.Repository) (Pusher, error)
}

// NewRegistry returns an output for all names, which may be in several repositories and registries.
func NewRegistry(o RegistryOptions) (*Registry, error) {
	r := &Registry{canonical: o.Canonical, temp: o.Temp, shared: map[v1.Hash]*shared{}, sign: o.Sign, attest: o.Attest}
	at := map[string]int{}
	for _, n := range o.Names {
		repository, tags, err := target(n, o.ByDigest)
		if err != nil {
			return nil, err
		}
		i, ok := at[repository.Name()]
		if !ok {
			p, err := o.Open(repository)
			if err != nil {
				return nil, err
			}
			i = len(r.destinations)
			at[repository.Name()] = i
			r.destinations = append(r.destinations, destination{Pusher: p, repository: repository})
		}
		r.destinations[i].tags = append(r.destinations[i].tags, tags...)
	}
	if len(r.destinations) == 0 {
		return nil, errors.New("pushing needs a name to push to")
	}
	return r, nil
}

// target takes a name apart.
func target(n string, byDigest bool) (name.Repository, []string, error) {
	if byDigest {
		r, err := name.NewRepository(n)
		if err != nil {
			return r, nil, fmt.Errorf("pushing by digest to %s, which must be a name without a tag: %w", n, err)
		}
		return r, nil, nil
	}
	tags, err := parseNames([]string{n})
	if err != nil {
		return name.Repository{}, nil, err
	}
	return tags[0].Repository, []string{tags[0].TagStr()}, nil
}

// Layer begins to push a layer that will be part of the result, and returns at once. What goes wrong is told
// by Write.
func (r *Registry) Layer(ctx context.Context, l v1.Layer) {
	ctx, stop := context.WithCancel(ctx)
	r.mu.Lock()
	r.stops = append(r.stops, stop)
	r.mu.Unlock()
	for _, d := range r.destinations {
		r.early.Go(func() error {
			media, err := l.MediaType()
			if err != nil || !media.IsDistributable() {
				return err // what becomes of it is decided when the image is made
			}
			return r.push(ctx, d, l)
		})
	}
}

// push pushes a layer to a destination.
func (r *Registry) push(ctx context.Context, d destination, l v1.Layer) error {
	if len(r.destinations) == 1 || !inRegistry(l) {
		return d.Layer(ctx, l)
	}
	digest, err := l.Digest()
	if err != nil {
		return err
	}
	r.mu.Lock()
	if r.shared[digest] == nil {
		r.shared[digest] = newShared(l, r.temp)
	}
	s := r.shared[digest]
	r.mu.Unlock()
	return d.Layer(ctx, s)
}

// Stop ends what Layer has begun, and returns when it has ended. It must be called if Write is not.
func (r *Registry) Stop() {
	r.mu.Lock()
	stops := r.stops
	r.stops = nil
	r.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	r.closeShared()    // or else who reads of them would wait
	_ = r.early.Wait() // Write tells what matters
	r.closeShared()
}

func (r *Registry) closeShared() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.shared {
		s.close()
	}
	clear(r.shared)
}

// Write implements Output. Everything goes to all repositories before any tag changes.
func (r *Registry) Write(ctx context.Context, result Result) (Written, error) {
	defer r.Stop()
	top, err := result.top()
	if err != nil {
		return Written{}, err
	}
	g, blobsCtx := errgroup.WithContext(ctx)
	for _, d := range r.destinations {
		g.Go(func() error { return r.pushAll(blobsCtx, d, result) })
	}
	if err := g.Wait(); err != nil {
		return Written{}, err
	}
	if err := r.signAll(ctx, result, top.Digest); err != nil {
		return Written{}, err
	}
	g, tagsCtx := errgroup.WithContext(ctx)
	for _, d := range r.destinations {
		g.Go(func() error { return d.Manifest(tagsCtx, top.MediaType, top.raw, d.tags...) })
	}
	if err := g.Wait(); err != nil {
		return Written{}, err
	}
	return Written{Descriptor: top.Descriptor, Names: r.names(top.Digest)}, nil
}

// pushAll pushes what the top of the result depends on.
func (r *Registry) pushAll(ctx context.Context, d destination, result Result) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, b := range slices.Concat(result.Images, result.indexed) {
		g.Go(func() error { return r.pushImage(ctx, d, b, result.Index != nil) })
	}
	for _, b := range result.referrers {
		g.Go(func() error { return r.pushReferrer(ctx, d, b) })
	}
	return g.Wait()
}

// pushReferrer pushes a manifest about an image.
func (r *Registry) pushReferrer(ctx context.Context, d destination, b Built) error {
	if err := r.pushImage(ctx, d, b, false); err != nil {
		return err
	}
	raw, err := b.Image.RawManifest()
	if err != nil {
		return err
	}
	return d.Referrer(ctx, raw)
}

// signAll signs the result in all repositories: what the names stand for, every image of an index, and what is said
// of the images.
func (r *Registry) signAll(ctx context.Context, result Result, top v1.Hash) error {
	if r.sign == nil {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range r.destinations {
		g.Go(func() error { return r.signOne(ctx, d, top) })
		for _, b := range result.Images {
			g.Go(func() error { return r.signImage(ctx, d, b, top) })
		}
	}
	return g.Wait()
}

// signImage signs an image, unless that is the top, and the statements about it.
func (r *Registry) signImage(ctx context.Context, d destination, b Built, top v1.Hash) error {
	digest, err := b.Image.Digest()
	if err != nil {
		return err
	}
	if digest != top {
		if err := r.signOne(ctx, d, digest); err != nil {
			return err
		}
	}
	if r.attest == nil || len(b.Statements) == 0 {
		return nil
	}
	signed, tag, err := r.attest(ctx, d.repository, digest, b.Statements)
	if err != nil {
		return fmt.Errorf("signing what is attested of %s: %w", digest, err)
	}
	return r.pushSigned(ctx, d, signed, tag)
}

func (r *Registry) signOne(ctx context.Context, d destination, digest v1.Hash) error {
	signature, tag, err := r.sign(ctx, d.repository, digest)
	if err != nil {
		return fmt.Errorf("signing %s: %w", digest, err)
	}
	return r.pushSigned(ctx, d, signature, tag)
}

// pushSigned pushes an image of signatures, which is nil if there is nothing to push.
func (r *Registry) pushSigned(ctx context.Context, d destination, signed v1.Image, tag string) error {
	if signed == nil {
		return nil
	}
	b := Built{Image: signed}
	if err := r.pushImage(ctx, d, b, false); err != nil {
		return err
	}
	m, err := b.manifest()
	if err != nil {
		return err
	}
	return d.Manifest(ctx, m.MediaType, m.raw, tag)
}

// pushImage pushes the blobs of an image, and its manifest if it is one of an index.
func (r *Registry) pushImage(ctx context.Context, d destination, b Built, indexed bool) error {
	blobs, err := b.blobs()
	if err != nil {
		return err
	}
	g, blobCtx := errgroup.WithContext(ctx)
	for _, l := range blobs {
		g.Go(func() error { return r.push(blobCtx, d, l) })
	}
	if err := g.Wait(); err != nil || !indexed {
		return err
	}
	m, err := b.manifest()
	if err != nil {
		return err
	}
	return d.Manifest(ctx, m.MediaType, m.raw)
}

// Repositories are where results are pushed to.
func (r *Registry) Repositories() []name.Repository {
	all := make([]name.Repository, len(r.destinations))
	for i, d := range r.destinations {
		all[i] = d.repository
	}
	return all
}

// Tags are those that are wanted in one of the repositories.
func (r *Registry) Tags(in name.Repository) []string {
	for _, d := range r.destinations {
		if d.repository == in {
			return d.tags
		}
	}
	return nil
}

func (r *Registry) names(digest v1.Hash) []string {
	var names []string
	for _, d := range r.destinations {
		full := repositoryName(d.repository)
		for _, tag := range d.tags {
			names = append(names, full+":"+tag)
		}
		if len(d.tags) == 0 {
			names = append(names, full)
		}
		if r.canonical {
			names = append(names, full+"@"+digest.String())
		}
	}
	return names
}

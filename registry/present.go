package registry

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// present is what a repository was found to have: manifests, the blobs of images, and what tags stand for.
type present struct {
	mu      sync.Mutex
	digests map[v1.Hash]bool
	// tags have a zero digest if they do not exist.
	tags map[string]v1.Hash
}

// lacks reports whether a tag was found not to exist.
func (p *present) lacks(tag string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	digest, known := p.tags[tag]
	return known && digest == (v1.Hash{})
}

// know remembers what a tag stands for.
func (p *present) know(tag string, digest v1.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tags[tag] = digest
}

// has reports whether a manifest or blob was found.
func (p *present) has(digest v1.Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.digests[digest]
}

// stands reports whether a tag, or a digest as a reference, was found to stand for digest.
func (p *present) stands(reference string, digest v1.Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tags[reference] == digest || reference == digest.String() && p.digests[digest]
}

func (p *present) add(m *Manifest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.digests[m.Descriptor.Digest] = true
	if m.Image == nil {
		return
	}
	p.digests[m.Image.Config.Digest] = true
	for _, l := range m.Image.Layers {
		p.digests[l.Digest] = true
	}
}

// Repository is where p pushes to.
func (p *Pusher) Repository() name.Repository { return p.repo }

// Look finds out what the repository has under tags. What was pushed there before is neither asked for nor
// sent again. What cannot be found out is not an error: it is asked for when it is to be pushed.
func (p *Pusher) Look(ctx context.Context, tags ...string) {
	var all sync.WaitGroup
	for _, tag := range tags {
		all.Go(func() {
			m, err := p.to.manifest(ctx, tag, v1.Hash{})
			if errors.Is(err, fs.ErrNotExist) {
				p.present.know(tag, v1.Hash{})
			}
			if err != nil {
				return
			}
			p.present.add(m)
			p.present.know(tag, m.Descriptor.Digest)
			p.lookBelow(ctx, m)
		})
	}
	all.Wait()
}

// lookBelow looks at the images of an index, most of which are known by their digests.
func (p *Pusher) lookBelow(ctx context.Context, m *Manifest) {
	if m.Index == nil {
		return
	}
	var all sync.WaitGroup
	for _, d := range m.Index.Manifests {
		all.Go(func() {
			child := p.to.client.kept(d.Digest)
			if child == nil {
				var err error
				if child, err = p.to.manifest(ctx, d.Digest.String(), d.Digest); err != nil {
					return
				}
			}
			p.present.add(child)
		})
	}
	all.Wait()
}

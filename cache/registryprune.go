package cache

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// Prune implements Pruner. The tags are listed, so it takes a request for each. Blobs are left to the registry, which
// removes those that no manifest needs.
func (r *Registry) Prune(ctx context.Context, p Prune) (Pruned, error) {
	tags, all, err := r.all(ctx)
	if err != nil {
		return Pruned{}, err
	}
	chosen := choose(p, all)
	for i, s := range chosen {
		if err := r.client.Delete(ctx, r.repo, s.id.String()); err != nil {
			return tell(chosen[:i]), err
		}
		for _, tag := range tags[s.id] { // most registries have removed them, and some remove none
			_ = r.client.Delete(ctx, r.repo, tag)
		}
	}
	return tell(chosen), nil
}

// all returns all images of the cache by their digests, and their tags.
func (r *Registry) all(ctx context.Context) (map[v1.Hash][]string, []shared[v1.Hash], error) {
	list, err := r.client.Tags(ctx, r.repo)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	var mu sync.Mutex
	var all []shared[v1.Hash]
	tags := map[v1.Hash][]string{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * shareLimit)
	for _, tag := range list {
		if !strings.HasPrefix(tag, r.prefix) {
			continue
		}
		g.Go(func() error {
			s, ok, err := r.tagged(ctx, tag)
			if err != nil || !ok {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if tags[s.id] == nil {
				all = append(all, s)
			}
			tags[s.id] = append(tags[s.id], tag)
			return nil
		})
	}
	return tags, all, g.Wait()
}

// tagged returns the image that has a tag; ok is false if it is not one of the cache.
func (r *Registry) tagged(ctx context.Context, tag string) (s shared[v1.Hash], ok bool, err error) {
	m, err := r.client.Lookup(ctx, r.repo.Tag(tag))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil || m.Image == nil {
		return s, false, err
	}
	s, ok = sharedOf(m.Descriptor.Digest, m.Image)
	return s, ok, nil
}

// sharedOf describes the image of a document; ok is false for any other, which is not of the cache. One whose document cannot
// be read is as old as can be.
func sharedOf(digest v1.Hash, m *v1.Manifest) (s shared[v1.Hash], ok bool) {
	document, ok := m.Annotations[documentAnnotation]
	if !ok {
		return s, false
	}
	s.id = digest
	for _, l := range m.Layers {
		s.size += l.Size
	}
	if created, err := createdOf([]byte(document)); err == nil {
		s.created = created
	}
	return s, true
}

// createdOf returns when the layer of a document was made, whatever version the document is of.
func createdOf(document []byte) (time.Time, error) {
	var d struct {
		Created time.Time `json:"created"`
	}
	err := json.Unmarshal(document, &d)
	return d.Created, err
}

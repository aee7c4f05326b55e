//go:build linux

package cache

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/filelock"
)

// Prune implements Pruner. Blobs that no other image needs go with the images that do; those of an image that somebody is
// about to enter stay.
func (l *Layout) Prune(ctx context.Context, p Prune) (Pruned, error) {
	lock, _, err := filelock.Wait(ctx, filepath.Join(l.dir, "lock"), filelock.Exclusive)
	if err != nil {
		return Pruned{}, err
	}
	defer lock.Close()
	index, err := l.index()
	if err != nil {
		return Pruned{}, err
	}
	manifests := map[v1.Hash]*v1.Manifest{}
	var all []shared[v1.Hash]
	for _, d := range index.Manifests {
		m, err := l.manifest(d.Digest)
		if err != nil || manifests[d.Digest] != nil {
			continue // one that is damaged goes below
		}
		manifests[d.Digest] = m
		if s, ok := sharedOf(d.Digest, m); ok {
			all = append(all, s)
		}
	}
	chosen := choose(p, all)
	gone := map[v1.Hash]*v1.Manifest{}
	for _, s := range chosen {
		gone[s.id] = manifests[s.id]
		delete(manifests, s.id)
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool { return manifests[d.Digest] == nil })
	if err := l.writeIndex(index); err != nil {
		return Pruned{}, err
	}
	return tell(chosen), l.sweep(gone, manifests)
}

// manifest reads the manifest with a digest.
func (l *Layout) manifest(digest v1.Hash) (*v1.Manifest, error) {
	if digest.Algorithm != "sha256" || !isHex(digest.Hex) {
		return nil, errors.New("it has no digest")
	}
	raw, err := readFile(l.blobPath(digest), maxManifest)
	if err != nil {
		return nil, err
	}
	var m v1.Manifest
	return &m, json.Unmarshal(raw, &m)
}

// sweep removes the blobs of images that are gone, unless one that remains needs them.
func (l *Layout) sweep(gone, remain map[v1.Hash]*v1.Manifest) error {
	needed := blobsOf(remain)
	var errs []error
	for digest := range blobsOf(gone) {
		if needed[digest] || !isHex(digest.Hex) {
			continue
		}
		if err := os.Remove(l.blobPath(digest)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// blobsOf are the digests of images and of all they consist of.
func blobsOf(images map[v1.Hash]*v1.Manifest) map[v1.Hash]bool {
	blobs := map[v1.Hash]bool{}
	for digest, m := range images {
		blobs[digest], blobs[m.Config.Digest] = true, true
		for _, d := range m.Layers {
			blobs[d.Digest] = true
		}
	}
	return blobs
}

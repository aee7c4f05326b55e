//go:build linux

package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/filelock"
	"github.com/seed-298d225e/builder/wholefile"
)

// Layout is a shared cache in a directory that is an OCI image layout (image-layout.md of the specification). For
// each key index.json has an image with that name, the same as a [Registry] has. Writers lock the file "lock".
type Layout struct {
	dir string
	// read reads index.json once; what is shared later is looked up by who shares it.
	read func() (map[string]v1.Descriptor, error)
}

// The annotations of an entry of index.json: the key as its name, as the specification has it, and the operation.
const (
	annotationName      = "org.opencontainers.image.ref.name"
	operationAnnotation = "io.github.seed-298d225e.builder.cache.operation"
)

// maxIndex is what is read of index.json at most, maxManifest of a manifest.
const (
	maxIndex    = 64 << 20
	maxManifest = 4 << 20
)

// NewLayout returns the cache in a directory, which is made when something is shared.
func NewLayout(dir string) *Layout {
	l := &Layout{dir: dir}
	l.read = sync.OnceValues(func() (map[string]v1.Descriptor, error) {
		index, err := l.index()
		if err != nil {
			return nil, err
		}
		found := make(map[string]v1.Descriptor, 2*len(index.Manifests))
		for _, d := range index.Manifests {
			found[keyName(d.Annotations[annotationName])] = d
			found[opName(d.Annotations[operationAnnotation])] = d
		}
		return found, nil
	})
	return l
}

// index reads index.json. One that does not exist is empty.
func (l *Layout) index() (*v1.IndexManifest, error) {
	index := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	raw, err := readFile(filepath.Join(l.dir, "index.json"), maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(l.dir, "index.json"), err)
	}
	return index, nil
}

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%s is longer than the allowed %d bytes", name, limit)
	}
	return raw, err
}

func (l *Layout) blobPath(digest v1.Hash) string {
	return filepath.Join(l.dir, "blobs", digest.Algorithm, digest.Hex)
}

// Known implements Remote.
func (l *Layout) Known(_ context.Context, op v1.Hash) (bool, error) {
	found, err := l.read()
	_, ok := found[opName(op.Hex)]
	return ok, err
}

// Has implements Writer.
func (l *Layout) Has(_ context.Context, key v1.Hash) (bool, error) {
	found, err := l.read()
	_, ok := found[keyName(key.Hex)]
	return ok, err
}

// Find implements Remote.
func (l *Layout) Find(_ context.Context, key v1.Hash) (d Document, err error) {
	return l.find(keyName(key.Hex), key)
}

// FindMount implements Mounts.
func (l *Layout) FindMount(_ context.Context, id v1.Hash) (Document, error) {
	return l.find(keyName(mountKey(id.Hex)), id)
}

func mountKey(hex string) string { return "mount-" + hex }

func (l *Layout) find(name string, key v1.Hash) (d Document, err error) {
	found, err := l.read()
	if err != nil {
		return d, err
	}
	entry, ok := found[name]
	if !ok || entry.Digest.Algorithm != "sha256" || !isHex(entry.Digest.Hex) {
		return d, fs.ErrNotExist
	}
	raw, err := readFile(l.blobPath(entry.Digest), maxManifest)
	if err != nil {
		return d, err
	}
	if hexSum(raw) != entry.Digest.Hex {
		return d, fmt.Errorf("%w: the manifest %s is damaged", fs.ErrNotExist, entry.Digest)
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return d, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return documentOf(&m, key)
}

// Blob implements Remote.
func (l *Layout) Blob(ctx context.Context, d Document) v1.Layer {
	return newBlob(ctx, d, func(_ context.Context, offset int64) (io.ReadCloser, error) {
		f, err := os.Open(l.blobPath(d.Digest))
		if err != nil {
			return nil, err
		}
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	})
}

// Share implements Writer.
func (l *Layout) Share(ctx context.Context, d Document, blob v1.Layer) error {
	image, err := l.writeImage(d, blob)
	if err != nil {
		return err
	}
	return l.change(ctx, func(index *v1.IndexManifest) {
		for _, key := range d.Keys {
			if d.replaces {
				index.Manifests = slices.DeleteFunc(index.Manifests, named(key))
			}
			if !slices.ContainsFunc(index.Manifests, named(key)) {
				image.Annotations = map[string]string{annotationName: key, operationAnnotation: d.Op}
				index.Manifests = append(index.Manifests, image)
			}
		}
	})
}

// ShareMount implements Mounts.
func (l *Layout) ShareMount(ctx context.Context, d Document, blob v1.Layer) error {
	image, err := l.writeImage(d, blob)
	if err != nil {
		return err
	}
	return l.change(ctx, func(index *v1.IndexManifest) {
		key := mountKey(d.Keys[0])
		image.Annotations = map[string]string{annotationName: key}
		index.Manifests = append(slices.DeleteFunc(index.Manifests, named(key)), image)
	})
}

// named returns what tells whether an entry of index.json has a name.
func named(name string) func(v1.Descriptor) bool {
	return func(d v1.Descriptor) bool { return d.Annotations[annotationName] == name }
}

// writeImage writes the image of a document and returns its descriptor.
func (l *Layout) writeImage(d Document, blob v1.Layer) (image v1.Descriptor, err error) {
	config, raw, err := imageOf(d)
	if err != nil {
		return image, err
	}
	if err := os.MkdirAll(filepath.Join(l.dir, "blobs", "sha256"), 0o755); err != nil {
		return image, err
	}
	var g errgroup.Group
	for _, part := range []v1.Layer{blob, config} {
		g.Go(func() error { return l.write(part) })
	}
	if err := g.Wait(); err != nil {
		return image, err
	}
	image.MediaType = types.OCIManifestSchema1
	if image.Digest, image.Size, err = v1.SHA256(bytes.NewReader(raw)); err != nil {
		return image, err
	}
	return image, wholefile.Write(l.blobPath(image.Digest), 0o600, raw)
}

// write writes a blob that is not there.
func (l *Layout) write(blob v1.Layer) error {
	digest, err := blob.Digest()
	if err != nil {
		return err
	}
	size, err := blob.Size()
	if err != nil {
		return err
	}
	if info, err := os.Stat(l.blobPath(digest)); err == nil && info.Size() == size {
		now := time.Now()
		return os.Chtimes(l.blobPath(digest), now, now)
	}
	r, err := blob.Compressed()
	if err != nil {
		return err
	}
	defer r.Close()
	return wholefile.Create(l.blobPath(digest), 0o600, func(w io.Writer) error { _, err := io.Copy(w, r); return err })
}

// change changes index.json.
func (l *Layout) change(ctx context.Context, edit func(*v1.IndexManifest)) error {
	lock, _, err := filelock.Wait(ctx, filepath.Join(l.dir, "lock"), filelock.Exclusive)
	if err != nil {
		return err
	}
	defer lock.Close()
	index, err := l.index()
	if err != nil {
		return err
	}
	edit(index)
	return l.writeIndex(index)
}

func (l *Layout) writeIndex(index *v1.IndexManifest) error {
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if err := wholefile.Write(filepath.Join(l.dir, "oci-layout"), 0o600, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	return wholefile.Write(filepath.Join(l.dir, "index.json"), 0o600, raw)
}

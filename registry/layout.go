package registry

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Layout is a directory with images in it: an OCI image layout (image-layout.md of the specification). It is
// believed no more than a registry is.
type Layout struct {
	Dir string
}

// annotationRefName is the annotation that holds a tag in a layout.
const annotationRefName = "org.opencontainers.image.ref.name"

// Resolve finds the image that has a tag or a digest. If both are empty it is the only one, or the one
// tagged latest. What does not exist is fs.ErrNotExist.
func (l Layout) Resolve(tag, digest string, choose Choose) (*Image, error) {
	i, err := l.resolve(tag, digest, choose)
	if err != nil {
		return nil, fmt.Errorf("reading the image layout %s: %w", l.Dir, err)
	}
	return i, nil
}

func (l Layout) resolve(tag, digest string, choose Choose) (*Image, error) {
	d, err := l.find(tag, digest)
	if err != nil {
		return nil, err
	}
	m, err := l.manifest(d)
	if err != nil {
		return nil, err
	}
	named := m.Descriptor
	if m, err = descend(m, choose, l.manifest); err != nil {
		return nil, err
	}
	if err := isImage(m.Image); err != nil {
		return nil, err
	}
	raw, err := l.content(m.Image.Config, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	config, err := parseConfig(raw, len(m.Image.Layers))
	if err != nil {
		return nil, err
	}
	return &Image{Named: named, Manifest: m, RawConfig: raw, Config: config, layer: l.layer}, nil
}

// find returns the descriptor of what has a tag or a digest. If that is not in index.json its size is zero.
func (l Layout) find(tag, digest string) (v1.Descriptor, error) {
	f, err := os.Open(filepath.Join(l.Dir, "index.json"))
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return v1.Descriptor{}, err
	}
	m, err := parseManifest(raw)
	if err != nil {
		return v1.Descriptor{}, err
	}
	switch {
	case m.Index == nil:
		return v1.Descriptor{}, errors.New("index.json is not an index")
	case digest != "":
		h, err := v1.NewHash(digest)
		if err != nil {
			return v1.Descriptor{}, err
		}
		return entryWith(m.Index, func(d v1.Descriptor) bool { return d.Digest == h }, v1.Descriptor{Digest: h}), nil
	case tag == "" && len(m.Index.Manifests) == 1:
		return m.Index.Manifests[0], nil
	case tag == "":
		tag = "latest"
	}
	d := entryWith(m.Index, func(d v1.Descriptor) bool { return hasTag(d, tag) }, v1.Descriptor{})
	if d.Digest == (v1.Hash{}) {
		return d, fmt.Errorf("%w: it has no image tagged %s", fs.ErrNotExist, tag)
	}
	return d, nil
}

func entryWith(x *v1.IndexManifest, wanted func(v1.Descriptor) bool, otherwise v1.Descriptor) v1.Descriptor {
	for _, d := range x.Manifests {
		if wanted(d) {
			return d
		}
	}
	return otherwise
}

// hasTag reports whether d is tagged tag. Some tools write the full name instead of the tag.
func hasTag(d v1.Descriptor, tag string) bool {
	name := d.Annotations[annotationRefName]
	return name == tag || strings.HasSuffix(name, ":"+tag)
}

// manifest reads a manifest or an index.
func (l Layout) manifest(d v1.Descriptor) (*Manifest, error) {
	raw, err := l.content(d, maxManifest)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(raw)
	if err != nil {
		return nil, err
	}
	if d.Size == 0 {
		return m, nil
	}
	return m, m.is(d)
}

// content reads a small blob, of at most limit bytes.
func (l Layout) content(d v1.Descriptor, limit int64) ([]byte, error) {
	f, err := l.open(d.Digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, corruptf("%s is longer than the allowed %d bytes", d.Digest, limit)
	}
	if err := verify(raw, d.Digest); err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.Digest, err)
	}
	return raw, nil
}

func (l Layout) open(digest v1.Hash) (*os.File, error) {
	f, err := os.Open(filepath.Join(l.Dir, "blobs", digest.Algorithm, digest.Hex))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", f.Name())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// layer returns a layer. Reading it does not wait, so the context has nothing to end.
func (l Layout) layer(_ context.Context, d v1.Descriptor, diffID v1.Hash) *Layer {
	return &Layer{descriptor: d, diffID: diffID, open: func(offset int64) io.ReadCloser {
		return &blobFile{layout: l, descriptor: d, offset: offset}
	}}
}

// blobFile is a blob of a layout from some offset on.
type blobFile struct {
	layout     Layout
	descriptor v1.Descriptor
	offset     int64

	file *os.File
	// hash is nil if what is read does not start with the blob's first byte.
	hash hash.Hash
}

// Read implements io.Reader. The last bytes come only if the digest is right.
func (b *blobFile) Read(p []byte) (int, error) {
	if b.file == nil {
		if err := b.begin(); err != nil {
			return 0, err
		}
	}
	left := b.descriptor.Size - b.offset
	if left == 0 {
		return 0, io.EOF
	}
	n, err := b.file.Read(p[:min(int64(len(p)), left)])
	b.offset += int64(n)
	if b.hash != nil {
		b.hash.Write(p[:n])
	}
	if errors.Is(err, io.EOF) {
		err = corruptf("reading %s: it is shorter than %d bytes", b.descriptor.Digest, b.descriptor.Size)
	}
	if err == nil && b.offset == b.descriptor.Size && b.hash != nil {
		if err := verifySum(b.hash, b.descriptor.Digest); err != nil {
			return 0, fmt.Errorf("reading %s: %w", b.descriptor.Digest, err)
		}
	}
	return n, err
}

func (b *blobFile) begin() (err error) {
	if b.file, err = b.layout.open(b.descriptor.Digest); err != nil {
		return err
	}
	if b.offset == 0 {
		b.hash, err = v1.Hasher(b.descriptor.Digest.Algorithm)
		return err
	}
	_, err = b.file.Seek(b.offset, io.SeekStart)
	return err
}

// Close implements io.Closer.
func (b *blobFile) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

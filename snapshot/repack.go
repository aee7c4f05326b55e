//go:build linux

package snapshot

import (
	"fmt"
	"io"
	"time"

	"github.com/containerd/stargz-snapshotter/estargz"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Packed is a layer compressed in a certain way: a v1.Layer of its own. It is compressed when it is first asked
// about, and kept in the store.
type Packed struct {
	layer       *Layer
	compression Compression
}

// Pack returns l compressed as c says. The tar archive in it is the same whatever c is. A layer that came from
// elsewhere is decompressed for that, unless it is compressed in that way already: then it is returned as it
// is, whatever the level.
func (s *Store) Pack(l v1.Layer, c Compression) (v1.Layer, error) {
	ours, ok := l.(*Layer)
	if ok && ours.blob == nil {
		return &Packed{ours, c}, nil
	}
	if ok {
		l = ours.blob
	}
	media, err := l.MediaType()
	if err != nil || media.IsDistributable() && c.has(media) {
		return l, err
	}
	diffID, err := l.DiffID()
	if err != nil {
		return nil, err
	}
	foreign := &Layer{content: func() (v1.Hash, error) { return diffID, nil }, store: s}
	foreign.pack = first(func(c Compression) (*packed, error) {
		if known := s.repacked(diffID, diffID, c); known != nil {
			return known, nil
		}
		return s.recompress(&packed{Content: diffID, Tar: diffID}, l.Uncompressed, c)
	})
	return &Packed{foreign, c}, nil
}

// has reports whether what has a media type is compressed like that. What an eStargz is cannot be seen.
func (c Compression) has(media types.MediaType) bool {
	switch media { //nolint:exhaustive // the others are none of layers
	case types.OCILayer, types.DockerLayer:
		return c.Kind == Gzip
	case types.OCILayerZStd, "application/vnd.docker.image.rootfs.diff.tar.zstd":
		return c.Kind == Zstd
	case types.OCIUncompressedLayer, types.DockerUncompressedLayer:
		return c.Kind == Uncompressed
	default:
		return false
	}
}

// packed returns the layer compressed as asked for: the form packed first if it is that, else one that is made
// from it.
func (p *Packed) packed() (*packed, error) {
	p.layer.packing.CompareAndSwap(nil, &p.compression)
	known, err := p.layer.pack(p.compression)
	if err != nil || known.Compression == p.compression {
		return known, err
	}
	once, _ := p.layer.repacking.LoadOrStore(p.compression, first(p.repack))
	return once.(func(*packed) (*packed, error))(known) //nolint:forcetypeassert // nothing else is in there
}

func (p *Packed) repack(from *packed) (*packed, error) {
	s := p.layer.store
	if known := s.repacked(from.Content, from.Tar, p.compression); known != nil {
		return known, nil
	}
	return s.recompress(from, func() (io.ReadCloser, error) { return s.openArchive(from) }, p.compression)
}

// openArchive opens the archive that a layer was packed from.
func (s *Store) openArchive(p *packed) (io.ReadCloser, error) {
	f, err := s.openBlob(p.Digest)
	if err != nil {
		return nil, err
	}
	if p.Compression.Kind != EStargz {
		return p.Compression.decompress(f)
	}
	r, err := estargz.Unpack(io.NewSectionReader(f, 0, p.Size), new(estargz.GzipDecompressor))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &closingBoth{r, f}, nil
}

// recompress packs the archive that open opens, which must be the one of p, in another way.
func (s *Store) recompress(p *packed, open func() (io.ReadCloser, error), c Compression) (again *packed, err error) {
	s.packing <- struct{}{}
	defer func() { <-s.packing }()
	name := func(content v1.Hash) string { return s.packedPath(content) + "." + c.String() }
	err = s.withSpace(func() error {
		again, err = s.writePacked(func(w io.Writer) (*packed, error) {
			r, err := open()
			if err != nil {
				return nil, err
			}
			defer r.Close()
			return compressArchive(w, r, p, c)
		}, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compressing a layer as %s: %w", c, err)
	}
	return again, nil
}

// compressArchive compresses the archive in r, which must be the one of p.
func compressArchive(w io.Writer, r io.Reader, p *packed, c Compression) (*packed, error) {
	z, err := newPacker(w, c)
	if err != nil {
		return nil, err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{z}, r, make([]byte, 256<<10))
	again, closing := z.end()
	switch {
	case err != nil:
		return nil, err
	case closing != nil:
		return nil, closing
	case again.Tar != p.Tar:
		return nil, fmt.Errorf("its archive is %s instead of %s", again.Tar, p.Tar)
	}
	again.Content, again.Form, again.Created = p.Content, p.Form, p.Created
	return again, nil
}

// Digest implements v1.Layer.
func (p *Packed) Digest() (v1.Hash, error) {
	k, err := p.packed()
	if err != nil {
		return v1.Hash{}, err
	}
	return k.Digest, nil
}

// DiffID implements v1.Layer.
func (p *Packed) DiffID() (v1.Hash, error) {
	k, err := p.packed()
	if err != nil {
		return v1.Hash{}, err
	}
	return k.DiffID, nil
}

// Size implements v1.Layer.
func (p *Packed) Size() (int64, error) {
	k, err := p.packed()
	if err != nil {
		return 0, err
	}
	return k.Size, nil
}

// Compressed implements v1.Layer.
func (p *Packed) Compressed() (io.ReadCloser, error) {
	k, err := p.packed()
	if err != nil {
		return nil, err
	}
	return p.layer.store.openBlob(k.Digest)
}

// Uncompressed implements v1.Layer.
func (p *Packed) Uncompressed() (io.ReadCloser, error) {
	k, err := p.packed()
	if err != nil {
		return nil, err
	}
	f, err := p.layer.store.openBlob(k.Digest)
	if err != nil {
		return nil, err
	}
	return k.Compression.decompress(f)
}

// MediaType implements v1.Layer.
func (p *Packed) MediaType() (types.MediaType, error) { return p.compression.mediaType(), nil }

// Descriptor returns how a manifest describes the layer.
func (p *Packed) Descriptor() (*v1.Descriptor, error) {
	k, err := p.packed()
	if err != nil {
		return nil, err
	}
	return &v1.Descriptor{MediaType: p.compression.mediaType(), Digest: k.Digest, Size: k.Size, Annotations: k.Annotations}, nil
}

// Created returns when the layer was packed for the first time, in whatever way. It is zero for a layer that came
// from elsewhere.
func (p *Packed) Created() (time.Time, error) {
	k, err := p.packed()
	if err != nil {
		return time.Time{}, err
	}
	return k.Created, nil
}

// ContentID names what the layer holds.
func (p *Packed) ContentID() (v1.Hash, error) { return p.layer.content() }

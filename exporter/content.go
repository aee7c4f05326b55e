package exporter

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// content is one blob of a result.
type content struct {
	digest v1.Hash
	size   int64
	open   func() (io.ReadCloser, error)
}

// path is where an image layout has the content.
func (c content) path() string { return "blobs/" + c.digest.Algorithm + "/" + c.digest.Hex }

// contents lists every blob, manifest and index of r once, what is referred to before what refers to it.
func (r Result) contents() ([]content, error) {
	var all []content
	seen := map[v1.Hash]bool{}
	add := func(c content) {
		if !seen[c.digest] {
			seen[c.digest] = true
			all = append(all, c)
		}
	}
	for _, b := range slices.Concat(r.Images, r.indexed, r.referrers) {
		blobs, err := b.blobs()
		if err != nil {
			return nil, err
		}
		for _, l := range blobs {
			c, err := blobContent(l)
			if err != nil {
				return nil, err
			}
			add(c)
		}
		m, err := b.manifest()
		if err != nil {
			return nil, err
		}
		add(m.content())
	}
	top, err := r.top()
	if err != nil {
		return nil, err
	}
	add(top.content())
	return all, nil
}

func blobContent(l v1.Layer) (content, error) {
	digest, err := l.Digest()
	if err != nil {
		return content{}, err
	}
	size, err := l.Size()
	return content{digest, size, l.Compressed}, err
}

func (m manifest) content() content {
	return content{m.Digest, m.Size, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.raw)), nil }}
}

// copy writes the content to w, and fails if it is not what its digest and size say.
func (c content) copy(w io.Writer) error {
	r, err := c.open()
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.digest, err)
	}
	h, err := v1.Hasher(c.digest.Algorithm)
	if err == nil {
		var n int64
		n, err = io.Copy(io.MultiWriter(w, h), io.LimitReader(r, c.size+1))
		err = errors.Join(err, r.Close())
		if err == nil {
			err = c.verify(n, hex.EncodeToString(h.Sum(nil)))
		}
	}
	if err != nil {
		return fmt.Errorf("copying %s: %w", c.digest, err)
	}
	return nil
}

func (c content) verify(n int64, sum string) error {
	if n != c.size {
		return fmt.Errorf("it is not %d bytes long", c.size)
	}
	if sum != c.digest.Hex {
		return fmt.Errorf("its digest is %s:%s", c.digest.Algorithm, sum)
	}
	return nil
}

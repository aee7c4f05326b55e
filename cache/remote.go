package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/solver"
)

// Remote is a shared cache. It is never believed in more than its document says, and may fail at any time.
type Remote interface {
	// Find returns the document under a key. A miss is fs.ErrNotExist.
	Find(ctx context.Context, key v1.Hash) (Document, error)
	// Blob returns the blob that a document names. No byte of it is moved; ctx bounds all reading.
	Blob(ctx context.Context, d Document) v1.Layer
	// Known reports whether there is a document of an operation.
	Known(ctx context.Context, op v1.Hash) (bool, error)
}

// Writer is a shared cache that can be written to.
type Writer interface {
	// Has reports whether there is a document under a key.
	Has(ctx context.Context, key v1.Hash) (bool, error)
	// Share puts a document and the blob that it names there, under all its keys. What is under one already stays, unless the
	// document replaces it.
	Share(ctx context.Context, d Document, blob v1.Layer) error
}

// Mounts is a shared cache that also holds the content of cache directories. Unlike results they change: who
// writes one replaces it.
type Mounts interface {
	// FindMount returns the document of a cache directory. A miss is fs.ErrNotExist.
	FindMount(ctx context.Context, id v1.Hash) (Document, error)
	// ShareMount puts a document under the one key that it has, and the blob that it names there.
	ShareMount(ctx context.Context, d Document, blob v1.Layer) error
}

// Document is a record as it is shared. The texts of the keys are not in it, because they hold the
// values of build arguments.
type Document struct {
	Version int `json:"version"`
	// Op and Keys are as in solver.Record, hexadecimal.
	Op   string   `json:"op"`
	Keys []string `json:"keys"`
	// Inputs are empty for those that are not made of layers.
	Inputs []string `json:"inputs"`
	Traits
	// DiffID, Digest and Size are those of the blob, which is a tar archive packed with gzip.
	DiffID v1.Hash `json:"diffID"`
	Digest v1.Hash `json:"digest"`
	Size   int64   `json:"size"`

	// replaces: what is under the keys is not to be used any more.
	replaces bool
}

const documentVersion = 1

// What is read of a document at most.
const (
	maxDocument = 1 << 20
	maxInputs   = 1000
	maxKeys     = 4
)

// parseDocument reads a document that was found under a key, and refuses what it is not sure of.
func parseDocument(raw []byte, key v1.Hash) (d Document, err error) {
	if len(raw) > maxDocument {
		return d, fmt.Errorf("%w: a document of %d bytes is longer than the allowed %d", fs.ErrNotExist, len(raw), maxDocument)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return d, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err := d.check(key); err != nil {
		return d, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return d, nil
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func isHex(s string) bool { return hexDigest.MatchString(s) }

func (d *Document) check(key v1.Hash) error {
	switch {
	case d.Version != documentVersion:
		return fmt.Errorf("the document is of version %d", d.Version)
	case !slices.Contains(d.Keys, key.Hex) || len(d.Keys) > maxKeys:
		return errors.New("the document is of another key")
	case len(d.Inputs) > maxInputs:
		return fmt.Errorf("the document names %d inputs", len(d.Inputs))
	case d.Size <= 0:
		return fmt.Errorf("the document names a blob of %d bytes", d.Size)
	case slices.ContainsFunc(d.Inputs, func(s string) bool { return s != "" && !isHex(s) }), !isHex(d.Op):
		return errors.New("the document names what is no digest")
	}
	for _, h := range []v1.Hash{d.Content, d.DiffID, d.Digest} {
		if h.Algorithm != "sha256" || !isHex(h.Hex) {
			return errors.New("the document names what is no digest")
		}
	}
	return nil
}

// describe makes the document of a record. The layer is packed for that if it was not before.
func describe(r solver.Record, layers Layers) (d Document, err error) {
	d = Document{Version: documentVersion, Op: r.Op.Hex, Keys: toHex(r.Keys()), Inputs: toHex(r.Inputs)}
	if d.Digest, err = r.Layer.Digest(); err != nil {
		return d, err
	}
	if d.Size, err = r.Layer.Size(); err != nil {
		return d, err
	}
	if d.DiffID, err = r.Layer.DiffID(); err != nil {
		return d, err
	}
	if d.Traits, err = layers.Traits(r.Layer); err != nil {
		return d, err
	}
	media, err := r.Layer.MediaType()
	if err == nil && !isPacked(media) {
		err = fmt.Errorf("a layer of type %s cannot be shared", media)
	}
	return d, err
}

// descriptor is that of the blob.
func (d *Document) descriptor() v1.Descriptor {
	return v1.Descriptor{MediaType: types.OCILayer, Digest: d.Digest, Size: d.Size}
}

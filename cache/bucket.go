package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Bucket keeps objects by name.
type Bucket interface {
	// Exists reports whether there is an object.
	Exists(ctx context.Context, name string) (bool, error)
	// Open opens an object at an offset. A miss is fs.ErrNotExist.
	Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error)
	// Write writes an object, in place of one that exists, or else leaves that alone where objects cannot be changed.
	Write(ctx context.Context, name string, size int64, open func() (io.ReadCloser, error)) error
	// Replace writes a small object that may be there, OpenLatest opens what was written last.
	Replace(ctx context.Context, name string, content []byte) error
	OpenLatest(ctx context.Context, name string) (io.ReadCloser, error)
}

// Objects is a shared cache in a bucket:
//
//	keys/KEY              a document
//	ops/OP                says that there are documents of an operation
//	mounts/ID             the document of a cache directory
//	blobs/sha256/DIGEST   a layer
type Objects struct {
	Bucket Bucket
}

func keyName(hex string) string { return "keys/" + hex }

func opName(hex string) string { return "ops/" + hex }

func mountName(hex string) string { return "mounts/" + hex }

func blobName(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }

// Known implements Remote.
func (o *Objects) Known(ctx context.Context, op v1.Hash) (bool, error) {
	return o.Bucket.Exists(ctx, opName(op.Hex))
}

// Find implements Remote.
func (o *Objects) Find(ctx context.Context, key v1.Hash) (Document, error) {
	r, err := o.Bucket.Open(ctx, keyName(key.Hex), 0)
	return readDocument(r, err, key)
}

// FindMount implements Mounts.
func (o *Objects) FindMount(ctx context.Context, id v1.Hash) (Document, error) {
	r, err := o.Bucket.OpenLatest(ctx, mountName(id.Hex))
	return readDocument(r, err, id)
}

// readDocument reads what was opened, unless that failed with err.
func readDocument(r io.ReadCloser, err error, key v1.Hash) (Document, error) {
	if err != nil {
		return Document{}, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return Document{}, err
	}
	return parseDocument(raw, key)
}

// Blob implements Remote.
func (o *Objects) Blob(ctx context.Context, d Document) v1.Layer {
	return newBlob(ctx, d, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		return o.Bucket.Open(ctx, blobName(d.Digest), offset)
	})
}

// Has implements Writer.
func (o *Objects) Has(ctx context.Context, key v1.Hash) (bool, error) {
	return o.Bucket.Exists(ctx, keyName(key.Hex))
}

// Share implements Writer. What a document names is there before the document is.
func (o *Objects) Share(ctx context.Context, d Document, l v1.Layer) error {
	if err := o.write(ctx, blobName(d.Digest), d.Size, l.Compressed); err != nil {
		return err
	}
	document, err := json.Marshal(d)
	if err != nil {
		return err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(document)), nil }
	write := o.write
	if d.replaces {
		write = o.Bucket.Write
	}
	if err := o.write(ctx, opName(d.Op), int64(len(document)), open); err != nil {
		return err
	}
	for _, key := range d.Keys {
		if err := write(ctx, keyName(key), int64(len(document)), open); err != nil {
			return err
		}
	}
	return nil
}

// ShareMount implements Mounts.
func (o *Objects) ShareMount(ctx context.Context, d Document, l v1.Layer) error {
	if err := o.write(ctx, blobName(d.Digest), d.Size, l.Compressed); err != nil {
		return err
	}
	document, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return o.Bucket.Replace(ctx, mountName(d.Keys[0]), document)
}

// write writes an object that does not exist.
func (o *Objects) write(ctx context.Context, name string, size int64, open func() (io.ReadCloser, error)) error {
	there, err := o.Bucket.Exists(ctx, name)
	if err != nil || there {
		return err
	}
	return o.Bucket.Write(ctx, name, size, open)
}

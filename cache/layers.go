package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Layers finds layers by what they hold.
type Layers interface {
	// Layer returns the layer with a content ID. A miss is fs.ErrNotExist.
	Layer(ctx context.Context, content v1.Hash) (v1.Layer, error)
	// Keep makes sure that a layer can be found. One that cannot be kept is fs.ErrNotExist.
	Keep(l v1.Layer) error
	// Lend returns the layer with the given traits whose packed form is blob, somewhere else. If it is here
	// too, that is what is returned.
	Lend(ctx context.Context, blob v1.Layer, t Traits) (v1.Layer, error)
	// Traits returns what the packed form of a layer does not say.
	Traits(l v1.Layer) (Traits, error)
}

// Traits are what the packed form of a layer does not say of it.
type Traits struct {
	// Content is the content ID.
	Content v1.Hash `json:"contentID"`
	// Created is when the layer was packed for the first time.
	Created time.Time `json:"created"`
	// Windows: the layer has the form of those of images for Windows.
	Windows bool `json:"windows,omitempty"`
	// Dated: the times of its files are part of its content.
	Dated bool `json:"dated,omitempty"`
}

// LayerError is a failure to read a layer of a shared cache. What it was to be the result of has to be made
// again.
type LayerError struct {
	// Origin is the cache.
	Origin string
	Err    error
}

func (e *LayerError) Error() string {
	return fmt.Sprintf("reading a layer of the cache %s: %v", e.Origin, e.Err)
}

// Unwrap returns the cause.
func (e *LayerError) Unwrap() error { return e.Err }

// lent is a layer of a shared cache. All errors of reading it are LayerErrors.
type lent struct {
	v1.Layer
	origin string
}

// Unwrap returns the layer as the cache has it, which may know more about where it is.
func (l *lent) Unwrap() v1.Layer { return l.Layer }

// Compressed implements v1.Layer.
func (l *lent) Compressed() (io.ReadCloser, error) {
	r, err := l.Layer.Compressed()
	return l.reader(r, err)
}

// Uncompressed implements v1.Layer.
func (l *lent) Uncompressed() (io.ReadCloser, error) {
	r, err := l.Layer.Uncompressed()
	return l.reader(r, err)
}

func (l *lent) reader(r io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, &LayerError{l.origin, err}
	}
	return &lentReader{r, l.origin}, nil
}

type lentReader struct {
	io.ReadCloser
	origin string
}

func (r *lentReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &LayerError{r.origin, err}
	}
	return n, err
}

// isPacked reports whether a blob is packed as our own layers are.
func isPacked(media types.MediaType) bool {
	return media == types.OCILayer || media == types.DockerLayer
}

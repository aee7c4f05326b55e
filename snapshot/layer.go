//go:build linux

package snapshot

import (
	"bufio"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Layer is a layer of a tree in this store: a v1.Layer that can also be unpacked and mounted. It has three
// forms, a stream of entries, a directory and a packed blob, and each is made from another when it is
// first asked for, once. A layer nobody ships is never packed, one nobody runs on never unpacked.
//
// All methods may be called by many goroutines at once.
type Layer struct {
	form Form
	// content returns the content ID.
	content func() (v1.Hash, error)
	// dir returns the layer unpacked, in the form in which overlayfs takes it.
	dir func() (*os.File, error)
	// pack returns the form that is packed first: as it is asked for first, or as it was found in the store.
	pack func(Compression) (*packed, error)
	// store has the packed forms, entries is what they are made of; nil if there was a packed form already.
	store   *Store
	entries Entries
	// blob is the layer as it came from elsewhere, nil if it was made here.
	blob v1.Layer
	// created is when blob was packed, zero if that is not known.
	created time.Time
	// fs returns the layer for reading, without unpacking it if it is small.
	fs func() (FS, error)
	// measured returns what the files of a layer from elsewhere add up to, if it was unpacked; nil if nobody knows.
	measured func() (int64, bool)
	// keep makes sure that the layer is in the store under its content ID.
	keep func() error
	// packing is how the packed form was asked for first, nil if it was not.
	packing atomic.Pointer[Compression]
	// repacking are the packed forms besides the first.
	repacking sync.Map // Compression → func(*packed) (*packed, error)
	// anew lets it be packed even if a layer with the same content was before; nil if that makes no difference.
	anew func()
	// pending reports whether nobody has asked for any form; nil if there is one.
	pending func() bool
}

// ContentID names what the layer holds. For a layer that a step made it may have to be hashed first; the
// content ID of a layer of an image is its diff ID.
func (l *Layer) ContentID() (v1.Hash, error) { return l.content() }

// Digest returns the digest of the packed form.
func (l *Layer) Digest() (v1.Hash, error) {
	if l.blob != nil {
		return l.blob.Digest()
	}
	return l.packed().Digest()
}

// DiffID returns the digest of the layer as a tar archive.
func (l *Layer) DiffID() (v1.Hash, error) {
	if l.blob != nil {
		return l.blob.DiffID()
	}
	return l.packed().DiffID()
}

// Size returns the size of the packed form in bytes.
func (l *Layer) Size() (int64, error) {
	if l.blob != nil {
		return l.blob.Size()
	}
	return l.packed().Size()
}

// Compressed opens the packed form.
func (l *Layer) Compressed() (io.ReadCloser, error) {
	if l.blob != nil {
		return l.blob.Compressed()
	}
	return l.packed().Compressed()
}

// Uncompressed opens the layer as a tar archive. Nothing is compressed for it.
func (l *Layer) Uncompressed() (io.ReadCloser, error) {
	switch {
	case l.blob != nil:
		return l.blob.Uncompressed()
	case l.packing.Load() == nil && l.entries != nil:
		return l.archive(), nil
	}
	return l.packed().Uncompressed()
}

// archive streams the layer as a tar archive from its entries.
func (l *Layer) archive() io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		buffer := bufio.NewWriterSize(w, 64<<10)
		err := WriteTar(buffer, l.entries, l.form)
		if err == nil {
			err = buffer.Flush()
		}
		w.CloseWithError(err)
	}()
	return r
}

// MediaType returns the media type of the packed form.
func (l *Layer) MediaType() (types.MediaType, error) {
	if l.blob != nil {
		return l.blob.MediaType()
	}
	return l.packed().MediaType()
}

// Created returns when the layer was packed for the first time. It is zero for one of an image from elsewhere.
func (l *Layer) Created() (time.Time, error) {
	if l.blob != nil {
		return l.created, nil
	}
	return l.packed().Created()
}

// packed is the layer as it is packed if nobody says how.
func (l *Layer) packed() *Packed { return &Packed{l, DefaultCompression()} }

// MinSize is what the files of the layer add up to at least, in bytes. It is exact for one that was made or unpacked
// here; one that was not fetched counts with the size of its blob.
func (l *Layer) MinSize() (int64, error) {
	if l.measured != nil {
		if size, ok := l.measured(); ok {
			return size, nil
		}
	}
	if l.blob != nil {
		return l.blob.Size()
	}
	tree, err := l.fs()
	if err != nil {
		return 0, err
	}
	var size int64
	for e, err := range Walk(tree, "") {
		if err != nil {
			return 0, err
		}
		size += e.Size
	}
	return size, nil
}

// Here reports whether the layer can be read without fetching anything: it was made here, or has been unpacked.
func (l *Layer) Here() bool {
	if l.blob == nil {
		return true
	}
	if l.measured == nil {
		return false
	}
	_, unpacked := l.measured()
	return unpacked
}

// Unwrap returns the layer as it came from elsewhere, nil if it was made here.
func (l *Layer) Unwrap() v1.Layer { return l.blob }

// Anew says that the layer is to be packed as it is, with the times of its files, even if one with the same content
// was packed before. It must be said before any form is asked for.
func (l *Layer) Anew() {
	if l.anew != nil {
		l.anew()
	}
}

// Pending reports whether the layer is only a stream so far, which nobody has asked to be written anywhere.
func (l *Layer) Pending() bool { return l.pending != nil && l.pending() }

// Form is how the layer is packed.
func (l *Layer) Form() Form { return l.form }

// FS returns the layer for reading. Whiteouts are entries of it.
func (l *Layer) FS() (FS, error) { return l.fs() }

// Keep makes sure that the layer can be found by its content ID from now on. It fails with
// fs.ErrNotExist if the layer is in no form that could be kept.
func (l *Layer) Keep() error { return l.keep() }

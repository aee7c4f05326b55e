package snapshot

import (
	"hash"
	"io"
	"strconv"

	"github.com/containerd/stargz-snapshotter/estargz"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
)

// stargzWriter writes a tar archive as eStargz: every file in gzip members of its own, the table of contents
// as one more file at the end.
type stargzWriter struct {
	*io.PipeWriter
	written chan error
	counter *stargzCounter
	writer  *estargz.Writer
	toc     digest.Digest
}

func newStargzWriter(w io.Writer, level int) *stargzWriter {
	archive, pipe := io.Pipe()
	counter := &stargzCounter{GzipCompressor: estargz.NewGzipCompressorWithLevel(level)}
	z := &stargzWriter{
		PipeWriter: pipe, written: make(chan error, 1), counter: counter, writer: estargz.NewWriterWithCompressor(w, counter),
	}
	go func() {
		err := z.writer.AppendTarLossLess(archive)
		if err == nil {
			z.toc, err = z.writer.Close()
		}
		archive.CloseWithError(err)
		z.written <- err
	}()
	return z
}

// Close writes the table of contents and returns the first error.
func (z *stargzWriter) Close() error {
	_ = z.PipeWriter.Close() // never fails
	return <-z.written
}

// describe tells what differs from a layer that is only compressed: the table of contents belongs to the
// archive, so its digest is another one, and readers need to know where it is.
func (z *stargzWriter) describe(p *packed) (err error) {
	if p.DiffID, err = v1.NewHash(z.writer.DiffID()); err != nil {
		return err
	}
	p.Annotations = map[string]string{
		estargz.TOCJSONDigestAnnotation:         z.toc.String(),
		estargz.StoreUncompressedSizeAnnotation: strconv.FormatInt(z.counter.n, 10),
	}
	return nil
}

// stargzCounter counts the bytes that are compressed.
type stargzCounter struct {
	*estargz.GzipCompressor
	n int64
}

// Writer implements estargz.Compressor.
func (c *stargzCounter) Writer(w io.Writer) (estargz.WriteFlushCloser, error) { //nolint:ireturn // the interface
	z, err := c.GzipCompressor.Writer(w)
	return &countingMember{z, c}, err
}

// WriteTOCAndFooter implements estargz.Compressor.
func (c *stargzCounter) WriteTOCAndFooter(w io.Writer, at int64, toc *estargz.JTOC, diff hash.Hash) (digest.Digest, error) {
	return c.GzipCompressor.WriteTOCAndFooter(w, at, toc, &countingHash{diff, c})
}

type countingMember struct {
	estargz.WriteFlushCloser
	counter *stargzCounter
}

// Write implements io.Writer.
func (m *countingMember) Write(p []byte) (int, error) {
	m.counter.n += int64(len(p))
	return m.WriteFlushCloser.Write(p)
}

type countingHash struct {
	hash.Hash
	counter *stargzCounter
}

// Write implements io.Writer.
func (h *countingHash) Write(p []byte) (int, error) {
	h.counter.n += int64(len(p))
	return h.Hash.Write(p)
}

package snapshot

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime"

	"github.com/klauspost/compress/flate"
	"golang.org/x/sync/errgroup"
)

// The gzip writer compresses blocks on all cores. The bytes do not depend on how many there are: blocks
// have a fixed size, each is compressed with the end of the one before as its dictionary and ends
// on a byte boundary, and one header and one trailer (RFC 1952) without name and time make them a
// single member that every reader takes.
const (
	blockSize = 1 << 20
	// window is how far back deflate can refer.
	window = 32 << 10
	// gzipLevel is the level that layers are compressed with if none is asked for.
	gzipLevel = 6
)

// block is a part of the stream on its way through a compressor.
type block struct {
	data, dictionary []byte
	last             bool
	// done receives the compressed bytes.
	done chan []byte
}

// gzipWriter is an io.WriteCloser. Memory is bounded by the number of cores.
type gzipWriter struct {
	// current collects a block, previous is the one before.
	current, previous []byte
	work              chan *block
	ordered           chan *block
	group             errgroup.Group
	crc, size         uint32
	level             int
}

// newGzipWriter returns a writer that compresses to w. It must be closed even after an error.
func newGzipWriter(w io.Writer, level int) *gzipWriter {
	cores := runtime.GOMAXPROCS(0)
	z := &gzipWriter{
		current: make([]byte, 0, blockSize), work: make(chan *block),
		ordered: make(chan *block, cores+1), level: level,
	}
	for range cores {
		z.group.Go(z.compress)
	}
	z.group.Go(func() error {
		err := z.assemble(w)
		if err != nil {
			for range z.ordered { // let the others end
				continue
			}
		}
		return err
	})
	return z
}

// Write collects p. It fails only in Close.
func (z *gzipWriter) Write(p []byte) (int, error) {
	n := len(p)
	z.crc = crc32.Update(z.crc, crc32.IEEETable, p)
	z.size += uint32(n)
	for len(p) > 0 {
		k := min(len(p), blockSize-len(z.current))
		z.current = append(z.current, p[:k]...)
		p = p[k:]
		if len(z.current) == blockSize {
			z.send(false)
		}
	}
	return n, nil
}

// Close writes what is left and returns the first error.
func (z *gzipWriter) Close() error {
	z.send(true)
	close(z.work)
	close(z.ordered)
	return z.group.Wait()
}

func (z *gzipWriter) send(last bool) {
	b := &block{data: z.current, last: last, done: make(chan []byte, 1)}
	if len(z.previous) > 0 {
		b.dictionary = z.previous[max(0, len(z.previous)-window):]
	}
	z.previous, z.current = z.current, make([]byte, 0, blockSize)
	z.ordered <- b
	z.work <- b
}

// compress compresses blocks until there are no more.
func (z *gzipWriter) compress() error {
	var out sliceWriter
	fw, err := flate.NewWriter(&out, z.level)
	if err != nil {
		return err
	}
	for b := range z.work {
		out = make(sliceWriter, 0, len(b.data)/2+64)
		fw.ResetDict(&out, b.dictionary)
		_, _ = fw.Write(b.data) // a sliceWriter takes everything
		if b.last {
			_ = fw.Close()
		} else {
			_ = fw.Flush()
		}
		b.done <- out
	}
	return nil
}

// assemble writes the compressed blocks in their order.
func (z *gzipWriter) assemble(w io.Writer) error {
	// No flags, no time, no extra flags, unknown system.
	if _, err := w.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}); err != nil {
		return err
	}
	for b := range z.ordered {
		if _, err := w.Write(<-b.done); err != nil {
			return err
		}
	}
	trailer := binary.LittleEndian.AppendUint32(nil, z.crc)
	_, err := w.Write(binary.LittleEndian.AppendUint32(trailer, z.size))
	return err
}

// sliceWriter appends to itself.
type sliceWriter []byte

func (s *sliceWriter) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

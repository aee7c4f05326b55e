package snapshot

import "io"

// The sizes of what is read ahead: enough that neither side waits for the other between two files.
const (
	aheadPiece  = 256 << 10
	aheadPieces = 8
)

// ahead reads a stream in a goroutine of its own, so that decompressing what comes next and writing what came
// before happen at once. Memory is bounded. It must be closed, which closes the stream too.
type ahead struct {
	source io.ReadCloser
	// free are buffers to read into, full are those that hold something; full is closed at the end.
	free chan []byte
	full chan []byte
	// err is how the stream ended; it may be read once full is closed.
	err error
	// piece is the buffer that is given out, rest what of it has not been.
	piece, rest []byte
}

func readAhead(source io.ReadCloser) *ahead {
	a := &ahead{source: source, free: make(chan []byte, aheadPieces), full: make(chan []byte, aheadPieces)}
	for range aheadPieces {
		a.free <- nil // made when it is first needed
	}
	go a.fill()
	return a
}

// fill reads until the stream ends or nobody gives buffers any more.
func (a *ahead) fill() {
	defer close(a.full)
	for b := range a.free {
		if b == nil {
			b = make([]byte, aheadPiece)
		}
		n, err := readFull(a.source, b[:aheadPiece])
		a.full <- b[:n]
		if err != nil {
			a.err = err
			return
		}
	}
}

// readFull is io.ReadFull, but for an end in the middle being none of its own kind.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = r.Read(b[n:])
		n += k
	}
	return n, err
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.piece != nil {
			a.free <- a.piece
			a.piece = nil
		}
		b, ok := <-a.full
		if !ok {
			return 0, a.err
		}
		a.piece, a.rest = b, b
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close ends the goroutine. The stream may be closed while it is read.
func (a *ahead) Close() error {
	err := a.source.Close()
	close(a.free)
	for range a.full {
		continue
	}
	return err
}

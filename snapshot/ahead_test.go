package snapshot

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// What is read ahead is what the stream holds, however large the pieces that are asked for.
func TestReadAheadKeepsTheStream(t *testing.T) {
	want := make([]byte, 3*aheadPiece*aheadPieces+17)
	source := rand.NewChaCha8([32]byte{1})
	if _, err := source.Read(want); err != nil {
		t.Fatal(err)
	}
	for _, wrap := range []func(io.Reader) io.Reader{
		func(r io.Reader) io.Reader { return r }, iotest.HalfReader, iotest.DataErrReader,
	} {
		a := readAhead(io.NopCloser(wrap(bytes.NewReader(want))))
		got, err := io.ReadAll(iotest.HalfReader(a))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
		}
		if n, err := a.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("after the end: got %d, %v; want the end again", n, err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadAheadEnds(t *testing.T) {
	broken := errors.New("broken")
	a := readAhead(io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 10)), iotest.ErrReader(broken))))
	got, err := io.ReadAll(a)
	if len(got) != 10 || !errors.Is(err, broken) {
		t.Errorf("got %d bytes and %v; want 10 and the error of the stream", len(got), err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}

	r, w := io.Pipe() // nothing will ever come
	defer func() { _ = w.Close() }()
	a = readAhead(r)
	if err := a.Close(); err != nil { // returns although the goroutine is in Read
		t.Error(err)
	}
}

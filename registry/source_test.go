package registry

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// countedLayer counts how often a layer is read.
type countedLayer struct {
	v1.Layer
	opened atomic.Int32
}

func (l *countedLayer) Compressed() (io.ReadCloser, error) {
	l.opened.Add(1)
	return l.Layer.Compressed()
}

// The chunks of an upload are read in one go.
func TestChunksAreReadOnce(t *testing.T) {
	r := newRegistry(t, nil)
	l := &countedLayer{Layer: randomLayer(t, 300<<10)}
	if err := newPusher(t, r, impatient()).Layer(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if n := r.count("PATCH"); n != 5 || l.opened.Load() != 1 {
		t.Errorf("%d chunks from a layer opened %d times", n, l.opened.Load())
	}
}

// lyingLayer has other bytes than its digest says, for as many times as it is told.
type lyingLayer struct {
	v1.Layer
	lies  int
	spoil func([]byte) []byte
}

func (l *lyingLayer) Compressed() (io.ReadCloser, error) {
	rc, err := l.Layer.Compressed()
	if l.lies--; err != nil || l.lies < 0 {
		return rc, err
	}
	b, err := io.ReadAll(rc)
	return io.NopCloser(bytes.NewReader(l.spoil(b))), err
}

// What does not hash to the layer's digest never becomes a blob; a second reading may be better.
func TestPushChecksDigest(t *testing.T) {
	spoil := map[string]func([]byte) []byte{
		"other":   func(b []byte) []byte { b[10] ^= 1; return b },
		"shorter": func(b []byte) []byte { return b[:len(b)-1] },
		"longer":  func(b []byte) []byte { return append([]byte{0}, b...) },
	}
	for name, f := range spoil {
		for _, size := range []int64{1000, 200 << 10} {
			r := newRegistry(t, nil)
			l := &lyingLayer{Layer: randomLayer(t, size), lies: 2, spoil: f}
			err := newPusher(t, r, impatient()).Layer(t.Context(), l)
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: got %v, want ErrCorrupt", name, err)
			}
			digest, _ := l.Digest()
			if _, err := remote.Layer(r.repo("app").Digest(digest.String())); err == nil {
				if there, _ := newPusher(t, r, impatient()).to.has(t.Context(), digest); there {
					t.Errorf("%s: the blob is there", name)
				}
			}
			l.lies = 1
			if err := newPusher(t, r, impatient()).Layer(t.Context(), l); err != nil {
				t.Errorf("%s: the second reading was right, but %v", name, err)
			}
		}
	}
}

// A layer that cannot be read is not the registry's fault, so nothing is tried again.
func TestPushUnreadableLayer(t *testing.T) {
	r := newRegistry(t, nil)
	err := newPusher(t, r, impatient()).Layer(t.Context(), unreadable{randomLayer(t, 1000)})
	wantError(t, err, "no such disk")
	if n := r.count("POST"); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
}

type unreadable struct{ v1.Layer }

func (unreadable) Compressed() (io.ReadCloser, error) { return nil, errors.New("no such disk") }

func TestEmptyLayerIsPushed(t *testing.T) {
	r := newRegistry(t, nil)
	if err := newPusher(t, r, impatient()).Layer(t.Context(), staticLayer(nil)); err != nil {
		t.Error(err)
	}
}

func TestParseUploadRange(t *testing.T) {
	for in, want := range map[string]int64{"0-0": 0, "0-9": 10, "bytes=0-9": 10, "": -1, "5-9": -1, "0--1": -1, "0-x": -1, "0-99999999999999999999": -1} {
		got, err := parseUploadRange(in)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

// The body of a request that was answered early may be read after the source was closed.
func TestBodyIsReadAfterClose(t *testing.T) {
	l := randomLayer(t, 1000)
	digest, _ := l.Digest()
	size, _ := l.Size()
	s, err := newSource(l, digest, size, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	body, err := s.section(0, size)
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	if n, err := body.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

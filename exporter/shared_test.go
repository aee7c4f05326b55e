package exporter

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// distant is a layer in a registry. It counts how often it is fetched.
type distant struct {
	v1.Layer
	fetched *atomic.Int32
	// body, if not nil, is fetched instead of the blob.
	body io.ReadCloser
}

func (d distant) Repository() name.Repository { return name.Repository{} }

func (d distant) Compressed() (io.ReadCloser, error) {
	d.fetched.Add(1)
	if d.body != nil {
		return d.body, nil
	}
	return d.Layer.Compressed()
}

// A layer of another registry is fetched once for several destinations, and arrives whole in all.
func TestSharedLayerIsFetchedOnce(t *testing.T) {
	a, b, c, l := testRegistry(t), testRegistry(t), testRegistry(t), &pushLog{}
	fetched := new(atomic.Int32)
	layer := distant{Layer: randomLayers(t, types.OCILayer)[0], fetched: fetched}
	r := Result{Images: []Built{{Image: newImage(t, testConfig(), []v1.Layer{layer}, Options{}), Platform: amd64}}}
	out := newRegistry(t, RegistryOptions{Names: []string{a + "/app", b + "/app", c + "/app"}, Temp: t.TempDir()}, l)
	out.Layer(t.Context(), layer)
	if _, err := out.Write(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n := fetched.Load(); n != 1 {
		t.Errorf("it was fetched %d times", n)
	}
}

// Readers wait for what is still coming, may begin anywhere, and get the error of what they read from.
func TestSharedReaders(t *testing.T) {
	content, broken := bytes.Repeat([]byte("0123456789"), 1000), errors.New("the line is cut")
	for _, end := range []error{io.EOF, broken} {
		r, w := io.Pipe()
		s := newShared(distant{fetched: new(atomic.Int32), body: r}, t.TempDir())
		var g errgroup.Group
		for _, offset := range []int64{0, 4321, 0} {
			reader, err := s.Compressed()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := reader.(io.Seeker).Seek(offset, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			g.Go(func() error {
				got, err := io.ReadAll(reader)
				if !bytes.Equal(got, content[offset:]) {
					t.Errorf("got %d bytes from %d on", len(got), offset)
				}
				return err
			})
		}
		for part := range 10 {
			if _, err := w.Write(content[part*1000 : (part+1)*1000]); err != nil {
				t.Fatal(err)
			}
		}
		w.CloseWithError(end)
		if err := g.Wait(); (err == nil) != errors.Is(end, io.EOF) || err != nil && !errors.Is(err, end) {
			t.Errorf("got %v, want %v", err, end)
		}
		s.close()
	}
}

// Closing ends whoever waits.
func TestSharedIsClosed(t *testing.T) {
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	s := newShared(distant{fetched: new(atomic.Int32), body: r}, t.TempDir())
	reader, err := s.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.Go(func() error {
		_, err := io.ReadAll(reader)
		return err
	})
	s.close()
	if err := g.Wait(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := newShared(distant{fetched: new(atomic.Int32), body: r}, "/nonexistent").Compressed(); err == nil {
		t.Error("there is no room, and no error")
	}
}

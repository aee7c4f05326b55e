package exporter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// shared is a layer in a registry that goes to several others. Its blob is fetched once, into a file without a
// name, and whoever sends it reads what has come so far. If nobody needs it, because it is there or can be
// mounted, nothing is fetched.
type shared struct {
	v1.Layer
	temp  string
	begin sync.Once
	end   sync.WaitGroup

	mu    sync.Mutex
	grown *sync.Cond
	from  io.Closer
	file  *os.File
	// have is how much of the blob is in the file; err is why no more will come, io.EOF at its end.
	have int64
	err  error
}

// inRegistry reports whether a layer's blob has to be fetched from somewhere.
func inRegistry(l v1.Layer) bool {
	for l != nil {
		if _, ok := l.(interface{ Repository() name.Repository }); ok {
			return true
		}
		wrapper, ok := l.(interface{ Unwrap() v1.Layer })
		if !ok {
			return false
		}
		l = wrapper.Unwrap()
	}
	return false
}

// newShared returns l to be sent to several places. It must be closed when all is sent.
func newShared(l v1.Layer, temp string) *shared {
	s := &shared{Layer: l, temp: temp}
	s.grown = sync.NewCond(&s.mu)
	return s
}

// Unwrap returns the layer where it is.
func (s *shared) Unwrap() v1.Layer { return s.Layer }

// Compressed implements v1.Layer. What it returns can be sought in.
func (s *shared) Compressed() (io.ReadCloser, error) {
	s.begin.Do(s.fetch)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil, s.err
	}
	return &sharedReader{shared: s}, nil
}

// fetch begins to fetch the blob.
func (s *shared) fetch() {
	from, err := s.Layer.Compressed()
	var to *os.File
	if err == nil {
		to, err = os.CreateTemp(s.temp, ".builder-blob-")
	}
	if err == nil {
		err = os.Remove(to.Name())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = fmt.Errorf("fetching a layer: %w", err)
		if from != nil {
			from.Close()
		}
		return
	}
	s.from, s.file = from, to
	s.end.Go(func() { s.fill(from) })
}

// fill fetches the blob to its end, or until the layer is closed.
func (s *shared) fill(from io.ReadCloser) {
	block := make([]byte, 256<<10)
	for {
		n, err := from.Read(block)
		s.mu.Lock()
		if s.err == nil && n > 0 {
			if _, failed := s.file.WriteAt(block[:n], s.have); failed != nil {
				err = failed
			}
			s.have += int64(n)
		}
		if s.err == nil {
			s.err = err
		}
		ended := s.err != nil
		s.grown.Broadcast()
		s.mu.Unlock()
		if ended {
			return
		}
	}
}

// close ends the fetching and forgets the blob.
func (s *shared) close() {
	s.begin.Do(func() { s.err = os.ErrClosed })
	s.mu.Lock()
	s.err = errors.Join(s.err, os.ErrClosed)
	s.grown.Broadcast()
	s.mu.Unlock()
	if s.file == nil {
		return
	}
	s.from.Close()
	s.end.Wait()
	s.file.Close()
}

// sharedReader reads a shared blob.
type sharedReader struct {
	shared *shared
	offset int64
}

// Read waits until there is more.
func (r *sharedReader) Read(p []byte) (int, error) {
	s := r.shared
	s.mu.Lock()
	for s.have <= r.offset && s.err == nil {
		s.grown.Wait()
	}
	have, err := s.have, s.err
	s.mu.Unlock()
	if errors.Is(err, os.ErrClosed) || have <= r.offset {
		return 0, err
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), have-r.offset)], r.offset)
	r.offset += int64(n)
	return n, err
}

// Seek implements io.Seeker, from the start only.
func (r *sharedReader) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart || offset < 0 {
		return r.offset, fmt.Errorf("seeking in a blob that is still coming: %w", errors.ErrUnsupported)
	}
	r.offset = offset
	return offset, nil
}

// Close implements io.Closer.
func (r *sharedReader) Close() error { return nil }

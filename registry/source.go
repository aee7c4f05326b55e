package registry

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// sourceError is a failure to read what is to be sent. Asking the registry again does not help.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// Transient implements [httpclient.Verdict].
func (e *sourceError) Transient() (time.Duration, bool) { return 0, false }

// source is a blob on its way out. It is read in order, and checked on the way; when a registry has lost a
// part of it, it is opened anew.
type source struct {
	layer  v1.Layer
	digest v1.Hash
	size   int64
	report func(current int64)

	hash   hash.Hash
	hashed int64

	r       io.ReadCloser
	offset  int64
	reading *section
}

func newSource(l v1.Layer, digest v1.Hash, size int64, report func(int64)) (*source, error) {
	h, err := v1.Hasher(digest.Algorithm)
	return &source{layer: l, digest: digest, size: size, report: report, hash: h}, err
}

// section returns the n bytes at offset. The section before it is closed first.
func (s *source) section(offset, n int64) (io.ReadCloser, error) {
	s.endSection()
	if err := s.seek(offset); err != nil {
		return nil, &sourceError{fmt.Errorf("reading layer %s: %w", s.digest, err)}
	}
	s.reading = &section{source: s, left: n}
	return s.reading, nil
}

func (s *source) seek(offset int64) error {
	if s.r != nil && s.offset == offset {
		return nil
	}
	s.close()
	r, err := s.layer.Compressed()
	if err != nil {
		return err
	}
	s.r, s.offset = r, offset
	if f, ok := r.(io.Seeker); ok {
		_, err = f.Seek(offset, io.SeekStart)
		return err
	}
	for inner := range unwrapped(s.layer) {
		if l, ok := inner.(*Layer); ok && offset > 0 {
			r.Close()
			s.r = l.open(offset)
			return nil
		}
	}
	_, err = io.CopyN(io.Discard, r, offset)
	return err
}

// close closes what is read, after whoever may still read it: a request that a registry has answered early.
func (s *source) close() {
	s.endSection()
	if s.r != nil {
		s.r.Close()
		s.r = nil
	}
}

func (s *source) endSection() {
	if s.reading != nil {
		s.reading.end()
	}
}

// read reads on. The last bytes are given out only if the digest of all is right, so that a registry can
// never complete a blob that is wrong.
func (s *source) read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if fresh := s.offset + int64(n) - s.hashed; fresh > 0 {
		s.hash.Write(p[int64(n)-fresh : n])
		s.hashed += fresh
	}
	s.offset += int64(n)
	switch {
	case s.offset > s.size:
		return 0, &sourceError{corruptf("layer %s is longer than its %d bytes", s.digest, s.size)}
	case s.offset == s.size:
		if err := verifySum(s.hash, s.digest); err != nil {
			return 0, &sourceError{fmt.Errorf("reading layer %s: %w", s.digest, err)}
		}
		return n, nil
	case errors.Is(err, io.EOF):
		return 0, &sourceError{corruptf("layer %s has %d bytes and not %d", s.digest, s.offset, s.size)}
	case err != nil:
		return 0, &sourceError{fmt.Errorf("reading layer %s: %w", s.digest, err)}
	}
	s.report(s.offset)
	return n, nil
}

// section is a part of a source as the body of a request. net/http may still read a body when the request
// has failed; once it is closed, it leaves the source alone.
type section struct {
	mu     sync.Mutex
	source *source
	left   int64
	closed bool
}

func (s *section) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.source.read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

// Close implements io.Closer.
func (s *section) Close() error {
	s.end()
	return nil
}

func (s *section) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// stream is a blob from some offset on, put together from as many answers as it takes. It may be closed
// while it is read.
type stream struct {
	// cancel ends what Read waits for.
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	digest v1.Hash
	size   int64
	// hash is of the whole blob; nil if the stream does not start with it and so cannot be checked.
	hash   hash.Hash
	offset int64

	// open gets the rest of the blob.
	open func(offset int64) (io.ReadCloser, error)
	// acquire waits for a slot of the registry; release, set once there is one, gives it back.
	acquire func() (release func(), err error)
	release func()
	// wait waits before another try, or says why there is none.
	wait   func(try int, err error) error
	report func(current int64)

	// try counts the failures since the stream had come to mark.
	try  int
	mark int64

	body io.ReadCloser
	// err is why nothing more can be read: io.EOF if all has been.
	err error
}

// stream starts to read at offset once the first byte is asked for.
func (c *Client) stream(ctx context.Context, repo name.Repository, d v1.Descriptor, offset int64) *stream {
	ctx, cancel := context.WithCancelCause(ctx)
	slots := c.registrySlots(repo.RegistryStr()).down
	s := &stream{
		cancel: cancel, digest: d.Digest, size: d.Size, offset: offset, mark: offset,
		open:   func(offset int64) (io.ReadCloser, error) { return c.open(ctx, repo, d, offset) },
		wait:   func(try int, err error) error { return c.config.Retry.Wait(ctx, try, err) },
		report: c.reporter("pulling "+transfer(repo, d.Digest), d.Size),
	}
	s.acquire = func() (func(), error) {
		return func() { slots.Release(1) }, slots.Acquire(ctx, 1)
	}
	if offset == 0 {
		s.hash, s.err = v1.Hasher(d.Digest.Algorithm)
	}
	return s
}

// transfer names a transfer for people.
func transfer(repo name.Repository, digest v1.Hash) string {
	return display(repo) + "@" + digest.Algorithm + ":" + digest.Hex[:12]
}

// reporter returns a function that reports a transfer's progress, but not more often than people can read.
func (c *Client) reporter(what string, total int64) func(current int64) {
	const often = 100 * time.Millisecond
	var last time.Time
	return func(current int64) {
		if now := time.Now(); current == total || now.Sub(last) >= often {
			last = now
			c.config.Progress(what, current, total)
		}
	}
}

func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if s.release == nil && s.err == nil {
		s.begin()
	}
	for s.err == nil {
		if n := s.readSome(p); n > 0 {
			return n, nil
		}
	}
	return 0, s.err
}

func (s *stream) begin() {
	release, err := s.acquire()
	if err != nil {
		s.end(err)
		return
	}
	s.release = release
	if s.offset == s.size {
		s.end(s.verdict())
	}
}

// readSome reads a piece. The last one is given out only if the digest is right.
func (s *stream) readSome(p []byte) int {
	n, err := s.next(p)
	s.offset += int64(n)
	if s.hash != nil {
		s.hash.Write(p[:n])
	}
	switch {
	case s.offset == s.size:
		verdict := s.verdict()
		s.end(verdict)
		if !errors.Is(verdict, io.EOF) {
			return 0
		}
		s.report(s.offset)
	case err != nil:
		s.interrupted(err)
	default:
		s.report(s.offset)
	}
	return n
}

// next reads from the answer, or from a new one if there is none.
func (s *stream) next(p []byte) (int, error) {
	if s.body == nil {
		body, err := s.open(s.offset)
		if err != nil {
			return 0, err
		}
		s.body = body
	}
	n, err := s.body.Read(p[:min(int64(len(p)), s.size-s.offset)])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// verdict is io.EOF if the blob is what it should be.
func (s *stream) verdict() error {
	if s.hash == nil {
		return io.EOF
	}
	if err := verifySum(s.hash, s.digest); err != nil {
		return fmt.Errorf("reading %s: %w", s.digest, err)
	}
	return io.EOF
}

// interrupted waits until it makes sense to go on, or ends the stream.
func (s *stream) interrupted(err error) {
	const progress = 256 << 10 // less is not enough to hope on
	s.closeBody()
	if s.offset-s.mark >= progress {
		s.try, s.mark = 0, s.offset
	}
	s.try++
	if err := s.wait(s.try, err); err != nil {
		s.end(fmt.Errorf("reading %s at byte %d of %d: %w", s.digest, s.offset, s.size, err))
	}
}

func (s *stream) closeBody() {
	if s.body != nil {
		s.body.Close()
		s.body = nil
	}
}

// end makes err the end of the stream and lets go of all it holds.
func (s *stream) end(err error) {
	s.err = err
	s.closeBody()
	s.cancel(nil)
	if s.release != nil {
		s.release()
		s.release = func() {}
	}
}

// Close implements io.Closer.
func (s *stream) Close() error {
	s.cancel(errClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(errClosed)
	return nil
}

var errClosed = errors.New("the layer is closed")

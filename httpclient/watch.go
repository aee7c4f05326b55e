package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// stalled says that a body stood still. It is a time-out, hence worth another try.
type stalled struct {
	host string
	idle time.Duration
}

func (e *stalled) Error() string {
	return fmt.Sprintf("nothing has moved between here and %s for %s", e.host, e.idle)
}

// Watch ends a request whose bodies stand still. It looks only while the other side is waited for.
type Watch struct {
	timer *time.Timer
	idle  time.Duration
	end   context.CancelCauseFunc
	// cause is why the request has ended early, if it has.
	cause func() error
}

// NewWatch returns the context for a request to host and what watches its bodies: where nothing moves for idle the
// context ends. [Watch.End] must be called, or the body of the answer closed.
func NewWatch(ctx context.Context, host string, idle time.Duration) (context.Context, *Watch) {
	ctx, end := context.WithCancelCause(ctx)
	w := &Watch{idle: idle, end: end, cause: func() error { return context.Cause(ctx) }}
	w.timer = time.AfterFunc(idle, func() { end(&stalled{host, idle}) })
	w.timer.Stop()
	return ctx, w
}

// End ends the request.
func (w *Watch) End() {
	w.timer.Stop()
	w.end(nil)
}

// Incoming watches the body of an answer. To close it ends the request.
func (w *Watch) Incoming(body io.ReadCloser) io.ReadCloser { return &incoming{body, w} }

// Outgoing watches the body of a request.
func (w *Watch) Outgoing(body io.ReadCloser) io.ReadCloser { return &outgoing{body, w} }

// incoming is the body of an answer. The other side is waited for while Read runs.
type incoming struct {
	io.ReadCloser
	watch *Watch
}

func (b *incoming) Read(p []byte) (int, error) {
	b.watch.timer.Reset(b.watch.idle)
	n, err := b.ReadCloser.Read(p)
	b.watch.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := b.watch.cause(); cause != nil {
			err = cause
		}
	}
	return n, err
}

// Close implements [io.Closer].
func (b *incoming) Close() error {
	defer b.watch.End()
	return b.ReadCloser.Close()
}

// outgoing is the body of a request. The other side is waited for between two calls of Read, because that is when
// what was read is sent.
type outgoing struct {
	io.ReadCloser
	watch *Watch
}

func (b *outgoing) Read(p []byte) (int, error) {
	b.watch.timer.Stop()
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		b.watch.timer.Reset(b.watch.idle)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *outgoing) Close() error {
	b.watch.timer.Stop()
	return b.ReadCloser.Close()
}

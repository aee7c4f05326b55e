package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// stallError says that a body stood still. It is a time-out, hence worth another try.
type stallError struct {
	host string
	idle time.Duration
}

func (e *stallError) Error() string {
	return fmt.Sprintf("nothing has moved between here and %s for %s", e.host, e.idle)
}

// stallTimer ends a request whose body stands still. It runs only while the other side is waited for.
type stallTimer struct {
	timer *time.Timer
	idle  time.Duration
}

func newStallTimer(idle time.Duration, expired func()) *stallTimer {
	t := &stallTimer{timer: time.AfterFunc(idle, expired), idle: idle}
	t.stop()
	return t
}

func (t *stallTimer) start() { t.timer.Reset(t.idle) }
func (t *stallTimer) stop()  { t.timer.Stop() }

// incoming is the body of an answer. The other side is waited for while Read runs.
type incoming struct {
	io.ReadCloser
	wait *stallTimer
	// end ends the request, ended says why it has ended early, if it has.
	end   context.CancelCauseFunc
	ended func() error
}

func (b *incoming) Read(p []byte) (int, error) {
	b.wait.start()
	n, err := b.ReadCloser.Read(p)
	b.wait.stop()
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := b.ended(); cause != nil {
			err = cause
		}
	}
	return n, err
}

// Close implements io.Closer.
func (b *incoming) Close() error {
	b.wait.stop()
	defer b.end(nil)
	return b.ReadCloser.Close()
}

// outgoing is the body of a request. The other side is waited for between two calls of Read, because that
// is when what was read is sent.
type outgoing struct {
	io.ReadCloser
	wait *stallTimer
}

func (b *outgoing) Read(p []byte) (int, error) {
	b.wait.stop()
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		b.wait.start()
	}
	return n, err
}

// Close implements io.Closer.
func (b *outgoing) Close() error {
	b.wait.stop()
	return b.ReadCloser.Close()
}

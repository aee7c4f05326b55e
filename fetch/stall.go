//go:build linux

package fetch

import (
	"context"
	"errors"
	"io"
	"time"
)

// errStalled ends a transfer that stands still. It may pass.
var errStalled = errors.New("nothing has arrived for too long")

// stallReader ends the request that r belongs to when a Read takes longer than idle.
type stallReader struct {
	ctx   func() error
	r     io.Reader
	timer *time.Timer
	idle  time.Duration
}

// watch returns a reader of r that calls stop when nothing moves for idle.
func watch(ctx context.Context, r io.Reader, idle time.Duration, stop context.CancelCauseFunc) *stallReader {
	t := time.AfterFunc(idle, func() { stop(errStalled) })
	t.Stop()
	return &stallReader{ctx: func() error { return context.Cause(ctx) }, r: r, timer: t, idle: idle}
}

func (s *stallReader) Read(p []byte) (int, error) {
	s.timer.Reset(s.idle)
	n, err := s.r.Read(p)
	s.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := s.ctx(); cause != nil {
			err = cause
		}
	}
	return n, err
}

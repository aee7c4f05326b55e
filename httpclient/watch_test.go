package httpclient

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// still is a body in which nothing moves until ctx ends.
type still func() error

func (s still) Read([]byte) (int, error) { return 0, s() }
func (s still) Close() error             { return nil }

func stillUntil(ctx context.Context) still {
	return func() error { <-ctx.Done(); return ctx.Err() }
}

func TestIncomingStandsStill(t *testing.T) {
	ctx, w := NewWatch(t.Context(), "example.com", time.Millisecond)
	defer w.End()
	_, err := w.Incoming(stillUntil(ctx)).Read(nil)
	if err == nil || err.Error() != "nothing has moved between here and example.com for 1ms" || !Transient(err) {
		t.Errorf("got %v", err)
	}
}

// Of the body of a request, what stands still is the other side, not who reads the body.
func TestOutgoingStandsStill(t *testing.T) {
	ctx, w := NewWatch(t.Context(), "example.com", time.Millisecond)
	defer w.End()
	body := w.Outgoing(io.NopCloser(strings.NewReader("x")))
	if _, err := body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if err := context.Cause(ctx); !strings.Contains(err.Error(), "nothing has moved") {
		t.Errorf("got %v", err)
	}
}

func TestCloseEndsTheRequest(t *testing.T) {
	ctx, w := NewWatch(t.Context(), "example.com", time.Minute)
	body := w.Incoming(io.NopCloser(strings.NewReader("")))
	if ctx.Err() != nil {
		t.Errorf("got %v", context.Cause(ctx))
	}
	if err := body.Close(); err != nil || ctx.Err() == nil {
		t.Errorf("got %v, and the request goes on", err)
	}
}

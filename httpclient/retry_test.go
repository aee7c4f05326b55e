package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// answer is what a server answers.
type answer struct {
	status int
	wait   time.Duration
}

func (a answer) Error() string                    { return http.StatusText(a.status) }
func (a answer) Transient() (time.Duration, bool) { return a.wait, TransientStatus(a.status) }

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "99999999999999999999": 0, "4000000000": 24 * time.Hour,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := ParseRetryAfter(in, now); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestTransient(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{answer{status: 503}, true},
		{answer{status: 404}, false},
		{fmt.Errorf("asking: %w", answer{status: 429}), true},
		{io.ErrUnexpectedEOF, true},
		{context.DeadlineExceeded, true},
		{context.Canceled, false},
		{syscall.ECONNRESET, true},
		{syscall.ECONNREFUSED, false},
		{&stalled{}, true},
		{Refusef("no"), false},
		{fmt.Errorf("asking: %w", Refusef("no")), false},
		{&fs.PathError{Err: syscall.EIO}, false},
		{&net.DNSError{IsNotFound: true}, false},
		{&net.DNSError{IsTimeout: true}, true},
		{tls.AlertError(42), false},
		{http.ErrSchemeMismatch, false},
	} {
		if got := Transient(c.err); got != c.want {
			t.Errorf("%v: got %v", c.err, got)
		}
	}
}

// The waits grow, are random, and end.
func TestBackOff(t *testing.T) {
	r := Retry{}.WithDefaults()
	for try, most := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		var longest time.Duration
		for range 1000 {
			wait, again := r.again(try+1, answer{status: 500})
			if !again || wait > most {
				t.Fatalf("try %d: got %s, %v", try+1, wait, again)
			}
			longest = max(longest, wait)
		}
		if longest < most/2 {
			t.Errorf("try %d: never longer than %s", try+1, longest)
		}
	}
	if _, again := r.again(5, answer{status: 500}); again {
		t.Errorf("there is a sixth try")
	}
	r.Tries = 100
	if wait, _ := r.again(99, answer{status: 500}); wait > 16*time.Second {
		t.Errorf("got %s", wait)
	}
}

// A wait that is asked for is kept, unless it is too long.
func TestAskedWait(t *testing.T) {
	r := Retry{}.WithDefaults()
	if wait, again := r.again(1, answer{429, time.Minute}); wait != time.Minute || !again {
		t.Errorf("got %s, %v", wait, again)
	}
	if wait, again := r.again(1, answer{429, time.Hour}); again {
		t.Errorf("got %s", wait)
	}
}

func TestWait(t *testing.T) {
	failed := errors.New("failed")
	quickly := Retry{Min: 1, Max: 1}
	if err := quickly.Wait(t.Context(), 1, failed); err != nil {
		t.Errorf("got %v", err)
	}
	if err := quickly.Wait(t.Context(), 5, failed); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	over := errors.New("over")
	ctx, end := context.WithCancelCause(t.Context())
	end(over)
	for _, err := range []error{quickly.Wait(ctx, 1, failed), Sleep(ctx, time.Hour)} {
		if !errors.Is(err, over) {
			t.Errorf("got %v", err)
		}
	}
}

//go:build linux

package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// Retry says how often and after which waits something is tried again that failed for a reason that may pass.
// Zero fields stand for the defaults.
type Retry struct {
	// Tries is how often something is tried before it has failed; 5.
	Tries int
	// Min and Max bound the waits, which double and are random below that; 500 ms and 16 s.
	Min, Max time.Duration
	// Longest is how long a wait a server may ask for by Retry-After; 2 minutes.
	Longest time.Duration
}

func (r Retry) withDefaults() Retry {
	if r.Tries == 0 {
		r.Tries = 5
	}
	if r.Min == 0 {
		r.Min = 500 * time.Millisecond
	}
	if r.Max == 0 {
		r.Max = 16 * time.Second
	}
	if r.Longest == 0 {
		r.Longest = 2 * time.Minute
	}
	return r
}

// wait waits before another try after try, counted from 1, failed with err. It returns err itself if there is
// no other try.
func (r Retry) wait(ctx context.Context, try int, err error) error {
	r = r.withDefaults()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if try >= r.Tries || !passing(err) {
		return err
	}
	longest := r.Min
	for i := 1; i < try && longest < r.Max; i++ {
		longest *= 2
	}
	pause := rand.N(min(longest, r.Max) + 1)
	if s, ok := errors.AsType[*StatusError](err); ok && s.retryAfter > 0 {
		if s.retryAfter > r.Longest {
			return fmt.Errorf("%w, try again in %s", err, s.retryAfter)
		}
		pause = s.retryAfter
	}
	return sleep(ctx, pause)
}

// refusal is something that we do not do, however often we are asked.
type refusal string

func (r refusal) Error() string { return string(r) }

func refusef(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// passing reports whether err may be gone the next time.
func passing(err error) bool {
	if s, ok := errors.AsType[*StatusError](err); ok {
		return s.passing()
	}
	if g, ok := errors.AsType[*gitError](err); ok {
		return g.passing()
	}
	var (
		refused     refusal
		certificate *tls.CertificateVerificationError
		alert       tls.AlertError
		notTLS      tls.RecordHeaderError
		file        *fs.PathError
		name        *net.DNSError
	)
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, &refused), errors.As(err, &file):
		return false
	case errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &notTLS):
		return false
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, http.ErrSchemeMismatch):
		return false
	case errors.As(err, &name):
		return name.IsTemporary || name.IsTimeout
	}
	return true
}

// parseRetryAfter reads a Retry-After header: seconds or a date (RFC 9110, section 10.2.3). What cannot be
// understood or lies in the past is 0.
func parseRetryAfter(value string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, most)
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), most)
}

package httpclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
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
	// Tries is how often something is tried at all; 5.
	Tries int
	// Min and Max bound the longest wait before the second and any later try, which doubles; 500 ms and 16 s.
	// A wait is random between nothing and that.
	Min, Max time.Duration
	// Longest is how long a wait a server may ask for by Retry-After; 2 minutes.
	Longest time.Duration
}

// WithDefaults returns r with its zero fields set.
func (r Retry) WithDefaults() Retry {
	return Retry{
		Tries:   cmp.Or(r.Tries, 5),
		Min:     cmp.Or(r.Min, 500*time.Millisecond),
		Max:     cmp.Or(r.Max, 16*time.Second),
		Longest: cmp.Or(r.Longest, 2*time.Minute),
	}
}

// Wait waits before another try after try, counted from 1, failed with err. It returns err itself if there is no
// other try, and the cause of ctx if that has ended.
func (r Retry) Wait(ctx context.Context, try int, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	wait, ok := r.WithDefaults().again(try, err)
	if !ok {
		return err
	}
	return Sleep(ctx, wait)
}

// again says whether there is another try after try failed with err, and after which wait.
func (r Retry) again(try int, err error) (wait time.Duration, ok bool) {
	asked, ok := transient(err)
	if try >= r.Tries || !ok || asked > r.Longest {
		return 0, false
	}
	if asked > 0 {
		return asked, true
	}
	longest := r.Min
	for i := 1; i < try && longest < r.Max; i++ {
		longest *= 2
	}
	return rand.N(min(longest, r.Max) + 1), true
}

// Verdict is an error that knows whether it may pass.
type Verdict interface {
	error
	// Transient reports whether what failed may succeed the next time, and after which wait if the other side
	// has asked for one.
	Transient() (wait time.Duration, ok bool)
}

// Transient reports whether err may be gone the next time: a [Verdict] is believed, and of all else what happens
// to connections may pass.
func Transient(err error) bool {
	_, ok := transient(err)
	return ok
}

func transient(err error) (wait time.Duration, ok bool) {
	if v, ok := errors.AsType[Verdict](err); ok {
		return v.Transient()
	}
	return 0, err != nil && !final(err)
}

// final reports whether err would be the same the next time.
func final(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		alert       tls.AlertError
		notTLS      tls.RecordHeaderError
		file        *fs.PathError
		name        *net.DNSError
	)
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, &file):
		return true
	case errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &notTLS):
		return true
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, http.ErrSchemeMismatch):
		return true
	case errors.As(err, &name):
		return !name.IsTemporary && !name.IsTimeout
	}
	return false
}

// TransientStatus reports whether a server that answers with status may answer otherwise the next time.
func TransientStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// ParseRetryAfter reads the value of a Retry-After header: seconds or a date (RFC 9110, section 10.2.3). What is
// not understood or lies in the past is 0.
func ParseRetryAfter(value string, now time.Time) time.Duration {
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

// Sleep waits for d, or until ctx ends, whose cause is the error then.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

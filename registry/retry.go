package registry

import (
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

// again says whether there is another try after try failed with err, and after which wait.
func (r Retry) again(try int, err error) (wait time.Duration, ok bool) {
	if try >= r.Tries || !transient(err) {
		return 0, false
	}
	if s, ok := errors.AsType[*StatusError](err); ok && s.RetryAfter > 0 {
		return s.RetryAfter, s.RetryAfter <= r.Longest
	}
	longest := r.Min
	for i := 1; i < try && longest < r.Max; i++ {
		longest *= 2
	}
	return rand.N(min(longest, r.Max) + 1), true
}

// transient reports whether err may be gone the next time.
func transient(err error) bool {
	if s, ok := errors.AsType[*StatusError](err); ok {
		return transientStatus(s.Status)
	}
	return err != nil && !final(err)
}

func transientStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// final reports whether err is neither a status nor something that happens to connections.
func final(err error) bool {
	var (
		refused     *refusal
		certificate *tls.CertificateVerificationError
		alert       tls.AlertError
		notTLS      tls.RecordHeaderError
		local       *sourceError
		file        *fs.PathError
		name        *net.DNSError
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrCorrupt):
		return true
	case errors.As(err, &refused), errors.As(err, &local), errors.As(err, &file):
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

// sleep waits for d, or until ctx ends, which is its error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// parseRetryAfter reads the value of a Retry-After header: seconds or a date (RFC 9110, section 10.2.3).
// What is not understood or lies in the past is 0.
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

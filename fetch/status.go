//go:build linux

package fetch

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed-298d225e/builder/httpclient"
)

// StatusError is the answer of a server that gave no content.
type StatusError struct {
	// Status is the code of the answer, such as 404.
	Status int
	// RetryAfter is how long the server asks to be left alone.
	RetryAfter time.Duration
}

func newStatusError(resp *http.Response) *StatusError {
	return &StatusError{
		Status:     resp.StatusCode,
		RetryAfter: httpclient.ParseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
}

func (e *StatusError) Error() string {
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s (try again after %s)", e.text(), e.RetryAfter)
	}
	return e.text()
}

func (e *StatusError) text() string {
	switch e.Status {
	case http.StatusNotFound, http.StatusGone:
		return fmt.Sprintf("not found (the server answered %d)", e.Status)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("access denied (the server answered %d)", e.Status)
	}
	if text := http.StatusText(e.Status); text != "" {
		return fmt.Sprintf("the server answered %d %s", e.Status, text)
	}
	return fmt.Sprintf("the server answered %d", e.Status)
}

// Transient implements [httpclient.Verdict].
func (e *StatusError) Transient() (time.Duration, bool) {
	return e.RetryAfter, httpclient.TransientStatus(e.Status)
}

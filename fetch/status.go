//go:build linux

package fetch

import (
	"fmt"
	"net/http"
	"time"
)

// StatusError is the answer of a server that gave no content.
type StatusError struct {
	// Status is the code of the answer, such as 404.
	Status int

	retryAfter time.Duration
}

func newStatusError(resp *http.Response) *StatusError {
	return &StatusError{
		Status:     resp.StatusCode,
		retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
}

func (e *StatusError) Error() string {
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

// passing reports whether the server may answer otherwise the next time.
func (e *StatusError) passing() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

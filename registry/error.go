package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/seed-298d225e/builder/httpclient"
)

// maxErrorBody is how much of an error's body is read.
const maxErrorBody = 64 << 10

// ErrCorrupt is the cause of every error that says that content is not what its digest or size promise.
// A layer being streamed cannot start over by itself, because its reader has part of it; whoever can drop
// that part may open the layer once more.
var ErrCorrupt = errors.New("content is not what was promised")

// corrupt is an ErrCorrupt with its own words.
type corrupt struct{ text string }

func (e *corrupt) Error() string        { return e.text }
func (e *corrupt) Is(target error) bool { return target == ErrCorrupt }

// Transient implements [httpclient.Verdict]: who asks again is told the same.
func (e *corrupt) Transient() (time.Duration, bool) { return 0, false }

func corruptf(format string, args ...any) error {
	return &corrupt{fmt.Sprintf(format, args...)}
}

// StatusError is an answer with a status that was not hoped for. It is fs.ErrNotExist if the status is
// 404 and fs.ErrPermission if it is 401 or 403.
type StatusError struct {
	Method string
	// URL is without its query, which may hold a signature.
	URL    string
	Status int
	// Code is the registry's own code for the first error, such as MANIFEST_UNKNOWN; it may be empty.
	Code string
	// Message is what the registry says about it, on one line; it may be empty.
	Message string
	// RetryAfter is how long the registry asks to be left alone.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s %s: %d %s", e.Method, e.URL, e.Status, http.StatusText(e.Status))
	if e.Code != "" {
		text += ": " + e.Code
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(" (try again after %s)", e.RetryAfter)
	}
	return text
}

// Transient implements [httpclient.Verdict].
func (e *StatusError) Transient() (time.Duration, bool) {
	return e.RetryAfter, httpclient.TransientStatus(e.Status)
}

// Is makes errors.Is work with the sentinels of io/fs.
func (e *StatusError) Is(target error) bool {
	switch e.Status {
	case http.StatusNotFound:
		return target == fs.ErrNotExist
	case http.StatusUnauthorized, http.StatusForbidden:
		return target == fs.ErrPermission
	}
	return false
}

// status returns the status an error came with, 0 if it was none.
func status(err error) int {
	if s, ok := errors.AsType[*StatusError](err); ok {
		return s.Status
	}
	return 0
}

// statusError reads the rest of resp and closes it.
func statusError(resp *http.Response) error {
	defer resp.Body.Close()
	e := &StatusError{
		Method:     resp.Request.Method,
		URL:        redact(resp.Request.URL),
		Status:     resp.StatusCode,
		RetryAfter: httpclient.ParseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return e // the status says more than why its explanation was cut off
	}
	e.Code, e.Message = parseError(resp.Header.Get("Content-Type"), body)
	return e
}

// parseError finds the first error in the body of an answer. The form is the one of the distribution
// specification, section "Error Codes".
func parseError(contentType string, body []byte) (code, message string) {
	media, _, _ := mime.ParseMediaType(contentType)
	if media == "text/html" {
		return "", "the answer is a web page, not that of a registry"
	}
	var parsed struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil || len(parsed.Errors) == 0 {
		return "", oneLine(string(body))
	}
	return oneLine(parsed.Errors[0].Code), oneLine(parsed.Errors[0].Message)
}

// oneLine makes text of a server fit to be shown: short, and without control characters.
func oneLine(s string) string {
	const longest = 300
	s = strings.Map(func(r rune) rune {
		if r == utf8Error || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// utf8Error is what invalid UTF-8 reads as.
const utf8Error = '\uFFFD'

// redact is u for people: without what may be secret.
func redact(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

package registry

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/seed-298d225e/builder/httpclient"
)

// request is an HTTP request that can be sent as often as needed.
type request struct {
	method string
	url    *url.URL
	header http.Header
	// body, if not nil, opens what is sent, size bytes of it. It is called once for every time it is sent.
	body func() (io.ReadCloser, error)
	size int64
	// accept lists the statuses that are no error.
	accept []int
}

// set returns r with one more header.
func (r request) set(name, value string) request {
	r.header = r.header.Clone()
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
	return r
}

// persist calls try until it succeeds or its error is there to stay.
func persist[T any](ctx context.Context, policy httpclient.Retry, try func() (T, error)) (T, error) {
	for n := 1; ; n++ {
		got, err := try()
		if err == nil {
			return got, nil
		}
		if err := policy.Wait(ctx, n, err); err != nil {
			return got, err
		}
	}
}

// send sends r once. The body of the answer must be closed, and ends with an error when it stands still.
func (c *Client) send(ctx context.Context, via *http.Client, r request, authorization string) (*http.Response, error) {
	ctx, watch := httpclient.NewWatch(ctx, r.url.Host, c.config.Timeouts.Idle)
	req, err := c.httpRequest(ctx, r, authorization, watch)
	if err != nil {
		watch.End()
		return nil, err
	}
	resp, err := via.Do(req)
	if err != nil {
		err = explain(ctx, r, err)
		watch.End()
		return nil, err
	}
	resp.Body = watch.Incoming(resp.Body)
	return resp, nil
}

func (c *Client) httpRequest(ctx context.Context, r request, authorization string, watch *httpclient.Watch) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), nil)
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	req.Header.Set("User-Agent", c.config.UserAgent)
	req.Header.Set("Accept-Encoding", "identity") // digests are of what is stored
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if r.body != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := r.body()
			if err != nil {
				return nil, err
			}
			return watch.Outgoing(body), nil
		}
		req.ContentLength = r.size
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// get sends r once and takes an answer whose status r does not accept for an error.
func (c *Client) get(ctx context.Context, via *http.Client, r request, authorization string) (*http.Response, error) {
	resp, err := c.send(ctx, via, r, authorization)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(r.accept, resp.StatusCode) {
		return nil, statusError(resp)
	}
	return resp, nil
}

// explain says what went wrong with r, without the query of any URL.
func explain(ctx context.Context, r request, err error) error {
	at := r.url
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
		if u, parseErr := url.Parse(failed.URL); parseErr == nil {
			at = u
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		err = fmt.Errorf("%w; if it is meant to, declare the registry as one that speaks plain http", err)
	}
	return fmt.Errorf("%s %s: %w", r.method, redact(at), err)
}

// readAll reads the body of an answer of at most limit bytes, and closes it.
func readAll(resp *http.Response, limit int64) ([]byte, error) {
	defer resp.Body.Close()
	if resp.ContentLength > limit {
		return nil, corruptf("%s is %d bytes long, more than the allowed %d", redact(resp.Request.URL), resp.ContentLength, limit)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", redact(resp.Request.URL), err)
	}
	if int64(len(b)) > limit {
		return nil, corruptf("%s is longer than the allowed %d bytes", redact(resp.Request.URL), limit)
	}
	if resp.Header.Get("Content-Encoding") == "gzip" && bytes.HasPrefix(b, gzipMagic()) {
		if b, err = gunzip(b, limit); err != nil {
			return nil, fmt.Errorf("reading %s: %w", redact(resp.Request.URL), err)
		}
	}
	return b, nil
}

func gzipMagic() []byte { return []byte{0x1f, 0x8b} }

// gunzip undoes what a proxy has done to an answer that it was asked to leave alone. No document that is read whole
// is itself compressed.
func gunzip(b []byte, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, corruptf("its compression is damaged: %v", err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, limit+1))
	if err != nil {
		return nil, corruptf("its compression is damaged: %v", err)
	}
	if int64(len(plain)) > limit {
		return nil, corruptf("it is longer than the allowed %d bytes", limit)
	}
	return plain, nil
}

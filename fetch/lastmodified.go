//go:build linux

package fetch

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// LastModified returns when the server says that a URL was modified, nil if it does not say. Nothing is
// downloaded.
func (h *HTTP) LastModified(ctx context.Context, address string) (*time.Time, error) {
	t, err := newTarget(Request{URL: address})
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		modified, err := h.lastModified(ctx, t)
		if err == nil {
			return modified, nil
		}
		if err := h.Retry.Wait(ctx, try, err); err != nil {
			return nil, fmt.Errorf("asking when %s was modified: %w", t.name, err)
		}
	}
}

// lastModified asks with HEAD, and with GET where the server does not like that.
func (h *HTTP) lastModified(ctx context.Context, t target) (*time.Time, error) {
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		resp, err := h.do(ctx, method, t, nil)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		if resp.StatusCode > 299 {
			err = newStatusError(resp)
		}
		if err == nil || method == http.MethodGet {
			var a address
			a.describe(resp.Header)
			return a.file(t).LastModified, err
		}
	}
	return nil, nil
}

//go:build linux

package fetch

import (
	"crypto/tls"
	"net/http"

	"github.com/seed-298d225e/builder/httpclient"
)

// transport sends requests. Where a redirect leads to another host, that must not be an address that only
// makes sense on this machine's own network link, such as the one where clouds serve credentials.
type transport struct {
	direct  *http.Transport
	guarded *httpclient.Guard
}

func newTransport(t httpclient.Timeouts, certificates *tls.Config, proxy httpclient.Proxy) *transport {
	both := &transport{direct: httpclient.NewTransport(t, proxy), guarded: httpclient.NewGuard(t, proxy)}
	for _, t := range []*http.Transport{both.direct, both.guarded.Transport} {
		t.TLSClientConfig = certificates.Clone()
		t.ForceAttemptHTTP2 = true
	}
	return both
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if firstOf(req).URL.Host == req.URL.Host {
		return t.direct.RoundTrip(req)
	}
	return t.guarded.RoundTrip(req)
}

// CloseIdleConnections closes connections that are kept for more requests.
func (t *transport) CloseIdleConnections() {
	t.direct.CloseIdleConnections()
	t.guarded.CloseIdleConnections()
}

// firstOf returns the request that was redirected to req, or req itself.
func firstOf(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

//go:build linux

package fetch

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Timeouts bounds how long the network is waited for. Zero fields stand for the defaults.
type Timeouts struct {
	// Connect and TLS bound how long a connection takes; 10 s each.
	Connect, TLS time.Duration
	// Header bounds how long an answer takes to begin, Idle how long nothing may move then; 60 s each.
	Header, Idle time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Connect: cmp.Or(t.Connect, 10*time.Second),
		TLS:     cmp.Or(t.TLS, 10*time.Second),
		Header:  cmp.Or(t.Header, time.Minute),
		Idle:    cmp.Or(t.Idle, time.Minute),
	}
}

// transport sends requests. Where a redirect leads to another host, that must not be an address that only
// makes sense on this machine's own network link, such as the one where clouds serve credentials.
type transport struct {
	direct, guarded *http.Transport
	proxy           func(*http.Request) (*url.URL, error)
}

func newTransport(t Timeouts, certificates *tls.Config, proxy func(*http.Request) (*url.URL, error)) *transport {
	t = t.withDefaults()
	with := func(d *net.Dialer) *http.Transport {
		return &http.Transport{
			DialContext:           d.DialContext,
			TLSClientConfig:       certificates.Clone(),
			TLSHandshakeTimeout:   t.TLS,
			ResponseHeaderTimeout: t.Header,
			IdleConnTimeout:       90 * time.Second,
			DisableCompression:    true, // ranges and sizes are those of what is stored
			ForceAttemptHTTP2:     true,
			Proxy:                 proxy,
		}
	}
	return &transport{
		direct:  with(&net.Dialer{Timeout: t.Connect}),
		guarded: with(&net.Dialer{Timeout: t.Connect, Control: refuseLinkLocal}),
		proxy:   proxy,
	}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if firstOf(req).URL.Host == req.URL.Host {
		return t.direct.RoundTrip(req)
	}
	if t.proxy != nil {
		via, err := t.proxy(req)
		if err != nil {
			return nil, err
		}
		if via != nil { // it looks names up itself, so only an address can be refused
			if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil && linkLocal(ip) {
				return nil, refusef("refusing a redirect to the link-local address %s", ip)
			}
			return t.direct.RoundTrip(req)
		}
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

func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if linkLocal(to.Addr()) {
		return refusef("refusing a redirect to the link-local address %s", to.Addr())
	}
	return nil
}

// linkLocal reports whether ip is link-local, or one of the other addresses where clouds serve metadata.
func linkLocal(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	switch ip.String() {
	case "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192":
		return true
	}
	return ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast()
}

// redirect is the policy for redirects: at most ten, to http and https only, never from https to http, and
// credentials go only to the origin they were given for.
func redirect(req *http.Request, via []*http.Request) error {
	const most = 10
	if len(via) > most {
		return refusef("gave up after %d redirects", most)
	}
	from, to := via[len(via)-1].URL.Scheme, req.URL.Scheme
	if to != "https" && to != "http" {
		return refusef("refusing a redirect to an address that begins with %q", to+":")
	}
	if from == "https" && to == "http" {
		return refusef("refusing a redirect from https to http")
	}
	if originOf(req.URL) != originOf(via[0].URL) {
		req.Header.Del("Authorization")
	}
	req.Header.Del("Referer") // a signature may be part of an address
	return nil
}

// originOf returns the scheme, host and port of u, which is all that credentials belong to.
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" && u.Scheme == "https" {
		port = "443"
	}
	if port == "" && u.Scheme == "http" {
		port = "80"
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
}

package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"
)

// router sends a request to the transport of its host. Hosts that the user named have one each, with their
// own certificates; all others share one that does not connect to link-local addresses.
type router struct {
	mu     sync.Mutex
	named  map[string]http.RoundTripper
	others http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (r *router) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	t := r.named[req.URL.Host]
	r.mu.Unlock()
	if t != nil {
		return t.RoundTrip(req)
	}
	// A proxy would look at the address for us, so a literal one is checked here too.
	if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil && linkLocal(ip) {
		return nil, refusef("refusing to connect to the link-local address %s", ip)
	}
	return r.others.RoundTrip(req)
}

func (r *router) add(host string, t http.RoundTripper) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.named[host] = t
}

// newTransport returns a transport with the time-outs of c. A guarded one refuses link-local addresses,
// which are looked at after the name is resolved.
func newTransport(c Config, certificates *tls.Config, guarded bool) *http.Transport {
	d := &dialer{Dialer: net.Dialer{Timeout: c.Timeouts.Connect, KeepAlive: 30 * time.Second}, guarded: guarded}
	t := &http.Transport{
		DialContext:           d.dial,
		TLSClientConfig:       certificates,
		TLSHandshakeTimeout:   c.Timeouts.TLS,
		ResponseHeaderTimeout: c.Timeouts.Header,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   4 * c.Connections,
		DisableCompression:    true, // content is hashed as it is stored
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if c.Proxy != nil {
		t.Proxy = d.remember(c.Proxy)
	}
	return t
}

// dialer connects to hosts and to proxies.
type dialer struct {
	net.Dialer
	guarded bool
	// proxies are the addresses of proxies in use: the user named them, so they may be anywhere.
	proxies sync.Map
}

func (d *dialer) remember(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		u, err := proxy(req)
		if u != nil {
			d.proxies.Store(u.Hostname(), true)
		}
		return u, err
	}
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	guarded := d.Dialer
	if _, proxy := d.proxies.Load(host); d.guarded && !proxy {
		guarded.Control = refuseLinkLocal
	}
	return guarded.DialContext(ctx, network, address)
}

func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if linkLocal(to.Addr()) {
		return refusef("refusing to connect to the link-local address %s", to.Addr())
	}
	return nil
}

// linkLocal reports whether ip is link-local or one of the addresses outside of that range under which
// clouds serve their metadata.
func linkLocal(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	switch ip.String() {
	case "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192":
		return true
	}
	return ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast()
}

// certificates returns what TLS needs to know for h.
func certificates(common []string, h Host) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: h.SkipVerify}
	files := append(append([]string(nil), common...), h.CA...)
	if len(files) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		for _, file := range files {
			pem, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("reading certificates: %w", err)
			}
			if !pool.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("reading certificates: %s holds none", file)
			}
		}
		c.RootCAs = pool
	}
	if h.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(h.ClientCert, h.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// redirect is the policy for redirects: at most ten, never from https to http, and credentials go only
// where they went before. The first request of a chain is the one that has them.
func redirect(req *http.Request, via []*http.Request) error {
	const most = 10
	if len(via) >= most {
		return refusef("gave up after %d redirects", most)
	}
	if err := sameScheme(via[len(via)-1].URL, req.URL); err != nil {
		return err
	}
	if !sameOrigin(via[0].URL, req.URL) {
		req.Header.Del("Authorization")
	}
	req.Header.Del("Referer")
	return nil
}

// sameScheme refuses to follow a secure URL to an insecure one, or to one that is not http at all.
func sameScheme(from, to *url.URL) error {
	switch {
	case to.Scheme == "https", to.Scheme == "http" && from.Scheme == "http":
		return nil
	case to.Scheme == "http":
		return refusef("refusing to go from https to %s", redact(to))
	}
	return refusef("refusing to follow a URL with scheme %q", to.Scheme)
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Host == b.Host
}

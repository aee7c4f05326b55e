package httpclient

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// Timeouts bounds every phase of a request except its whole: a transfer that moves is never cut off. Zero fields
// stand for the defaults.
type Timeouts struct {
	// Connect includes the look-up of the name; 10 s.
	Connect time.Duration
	// TLS is the handshake; 10 s.
	TLS time.Duration
	// Header is the wait for an answer after the request is sent; 60 s.
	Header time.Duration
	// Idle is how long a body may stand still in either direction; 60 s. It is for a [Watch].
	Idle time.Duration
}

// WithDefaults returns t with its zero fields set.
func (t Timeouts) WithDefaults() Timeouts {
	return Timeouts{
		Connect: cmp.Or(t.Connect, 10*time.Second),
		TLS:     cmp.Or(t.TLS, 10*time.Second),
		Header:  cmp.Or(t.Header, time.Minute),
		Idle:    cmp.Or(t.Idle, time.Minute),
	}
}

// Proxy returns the proxy for a request, nil for none. It may be nil itself.
type Proxy = func(*http.Request) (*url.URL, error)

// NewTransport returns a transport with the time-outs t. What comes is as it is stored: compression is not asked
// for, because sizes, ranges and digests are those of what is stored.
func NewTransport(t Timeouts, proxy Proxy) *http.Transport {
	t = t.WithDefaults()
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: t.Connect}).DialContext,
		TLSHandshakeTimeout:   t.TLS,
		ResponseHeaderTimeout: t.Header,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true,
		Proxy:                 proxy,
	}
}

// Guard is a transport that does not connect to link-local addresses. What it embeds may be configured further,
// but keeps its DialContext and its Proxy.
type Guard struct {
	*http.Transport

	direct, guarded net.Dialer
	// proxies are the hosts of proxies in use: the user named them, so they may be anywhere.
	proxies sync.Map
}

// NewGuard returns a transport like [NewTransport] that keeps away from link-local addresses.
func NewGuard(t Timeouts, proxy Proxy) *Guard {
	connect := t.WithDefaults().Connect
	g := &Guard{
		Transport: NewTransport(t, proxy),
		direct:    net.Dialer{Timeout: connect},
		guarded:   net.Dialer{Timeout: connect, Control: refuseLinkLocal},
	}
	g.DialContext = g.dial
	if proxy != nil {
		g.Proxy = g.remember(proxy)
	}
	return g
}

// RoundTrip implements [http.RoundTripper]. A proxy would look at the address for us, so a literal one is checked
// before; one behind a name is checked once the name is resolved.
func (g *Guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil {
		if err := check(ip); err != nil {
			return nil, err
		}
	}
	return g.Transport.RoundTrip(req)
}

func (g *Guard) remember(proxy Proxy) Proxy {
	return func(req *http.Request) (*url.URL, error) {
		u, err := proxy(req)
		if u != nil {
			g.proxies.Store(u.Hostname(), true)
		}
		return u, err
	}
}

func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, ok := g.proxies.Load(host); ok {
		return g.direct.DialContext(ctx, network, address)
	}
	return g.guarded.DialContext(ctx, network, address)
}

// refuseLinkLocal is the Control of a dialer.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return check(to.Addr())
}

func check(ip netip.Addr) error {
	if linkLocal(ip) {
		return Refusef("refusing to connect to the link-local address %s", ip)
	}
	return nil
}

// linkLocal reports whether ip is link-local, or one of the addresses outside of that range under which clouds
// serve their metadata.
func linkLocal(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	switch ip.String() {
	case "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192":
		return true
	}
	return ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast()
}

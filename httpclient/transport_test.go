package httpclient

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestLinkLocal(t *testing.T) {
	for address, want := range map[string]bool{
		"169.254.169.254": true, "169.254.0.1": true, "fe80::1": true, "fe80::1%eth0": true, "fd00:ec2::254": true, "100.100.100.200": true,
		"::ffff:169.254.1.1": true, "127.0.0.1": false, "10.0.0.1": false, "93.184.216.34": false, "::1": false, "fd00::1": false,
	} {
		ip := netip.MustParseAddr(address)
		if got := linkLocal(ip); got != want {
			t.Errorf("%s: got %v", address, got)
		}
		if err := refuseLinkLocal("tcp", netip.AddrPortFrom(ip, 80).String(), nil); (err != nil) != want {
			t.Errorf("%s: got %v", address, err)
		}
	}
}

// The address that a name has is looked at when the connection is made.
func TestGuardLooksAtAddresses(t *testing.T) {
	g := NewGuard(Timeouts{}, func(*http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") })
	_, err := g.dial(t.Context(), "tcp", "169.254.169.254:80")
	if err == nil || !strings.Contains(err.Error(), "refusing to connect to the link-local address") {
		t.Fatalf("got %v", err)
	}
	if Transient(err) {
		t.Errorf("it would be tried again")
	}
	if _, err := g.Proxy(nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := g.proxies.Load("127.0.0.1"); !ok {
		t.Errorf("the proxy is not known")
	}
}

// A proxy is not asked for an address that is refused.
func TestGuardRefusesBeforeAProxy(t *testing.T) {
	g := NewGuard(Timeouts{}, func(*http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://[fe80::1]/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := g.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "link-local address fe80::1") {
		t.Errorf("got %v", err)
	}
}

package registry

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// proxy-407: a proxy that wants a password is named as the one who does.
func TestProxyRefuses(t *testing.T) {
	_, d := blobServer([]byte("x"))
	proxy := newRegistry(t, respond(http.StatusProxyAuthRequired, "Proxy-Authenticate", `Basic realm="office"`))
	c := impatient()
	c.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	for _, scheme := range []string{"http", "https"} {
		r := &testRegistry{t: t, host: "registry.localhost:1"}
		c.Hosts = map[string]Host{r.host: {Scheme: scheme}}
		_, err := readLayer(pulled(t, r, c, d))
		wantError(t, err, "Proxy Authentication Required")
	}
}

// ipv6-only: a registry may have no other address.
func TestIPv6(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	next, d := blobServer([]byte("x"))
	s := httptest.NewUnstartedServer(next)
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	r := &testRegistry{t: t, host: strings.TrimPrefix(s.URL, "http://")}
	c := impatient()
	c.Hosts = map[string]Host{r.host: {Scheme: "http"}}
	layerBytes(t, pulled(t, r, c, d))
}

// Where this machine's clock is years off, or the certificate is old, the error tells both times.
func TestClockIsOff(t *testing.T) {
	now := time.Now()
	for name, valid := range map[string][2]time.Time{
		"behind": {now.AddDate(2, 0, 0), now.AddDate(4, 0, 0)}, "ahead": {now.AddDate(-4, 0, 0), now.AddDate(-2, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			next, d := blobServer([]byte("x"))
			s := httptest.NewUnstartedServer(next)
			certificate := certificateFor(t, valid)
			s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
			s.StartTLS()
			t.Cleanup(s.Close)
			file := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600); err != nil {
				t.Fatal(err)
			}
			r := &testRegistry{t: t, host: strings.TrimPrefix(s.URL, "https://")}
			c := impatient()
			c.Hosts = map[string]Host{r.host: {Scheme: "https", CA: []string{file}}}
			_, err := readLayer(pulled(t, r, c, d))
			wantError(t, err, "certificate has expired or is not yet valid", "current time "+now.UTC().Format("2006"))
		})
	}
}

// certificateFor makes a certificate for 127.0.0.1 that is valid between two times.
func certificateFor(t *testing.T, valid [2]time.Time) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: valid[0], NotAfter: valid[1], IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

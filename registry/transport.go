package registry

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"

	"github.com/seed-298d225e/builder/httpclient"
)

// router sends a request to the transport of its host. Hosts that the user named have one each, with their
// own certificates; all others share one that keeps away from link-local addresses.
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
	return r.others.RoundTrip(req)
}

func (r *router) add(host string, t http.RoundTripper) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.named[host] = t
}

// shape makes t fit for registries.
func (c Config) shape(t *http.Transport, certificates *tls.Config) {
	t.TLSClientConfig = certificates
	t.MaxIdleConnsPerHost = 4 * c.Connections
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
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

func sameOrigin(a, b *url.URL) bool { return httpclient.Origin(a) == httpclient.Origin(b) }

package registry

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secure serves h with TLS and returns a configuration that trusts it.
func secure(t *testing.T, h http.Handler) (*httptest.Server, Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	c := impatient()
	host := strings.TrimPrefix(s.URL, "https://")
	c.Hosts = map[string]Host{host: {Scheme: "https", CA: []string{file}}}
	return s, c
}

// https never becomes http: not by a redirect, not by a token server, not by the location of an upload.
func TestNoDowngrade(t *testing.T) {
	plain := newRegistry(t, nil)
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
	}{
		{"redirect", respond(http.StatusTemporaryRedirect, "Location", plain.URL+"/v2/app/manifests/v1")},
		{"realm", respond(http.StatusUnauthorized, "WWW-Authenticate", `Bearer realm="`+plain.URL+`"`)},
		{"location", respond(http.StatusAccepted, "Location", plain.URL+"/v2/app/blobs/uploads/1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, config := secure(t, c.h)
			r := &testRegistry{t: t, host: strings.TrimPrefix(s.URL, "https://")}
			config.Keychain = userOf(r)
			p, err := newClient(t, config).Pusher(r.repo("app"))
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, p.Check(t.Context()), "refusing to go from https to http://")
			if got := plain.requests(); len(got) > 0 {
				t.Errorf("asked %q", got)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	next, d := blobServer([]byte("x"))
	s, config := secure(t, next)
	r := &testRegistry{t: t, host: strings.TrimPrefix(s.URL, "https://")}
	layerBytes(t, pulled(t, r, config, d))

	config.Hosts = map[string]Host{r.host: {Scheme: "https"}}
	_, err := readLayer(pulled(t, r, config, d))
	wantError(t, err, "certificate signed by unknown authority")

	config.Hosts = map[string]Host{r.host: {Scheme: "https", SkipVerify: true}}
	layerBytes(t, pulled(t, r, config, d))
}

// A registry that speaks plain http is not spoken to so unless the user says so.
func TestPlainHTTPNeedsToBeSaid(t *testing.T) {
	next, d := blobServer([]byte("x"))
	r := newRegistry(t, next)
	c := impatient()
	c.Hosts = map[string]Host{r.host: {Scheme: "https"}}
	_, err := readLayer(pulled(t, r, c, d))
	wantError(t, err, "HTTP response to HTTPS client", "plain http")
}

func TestProxy(t *testing.T) {
	content := []byte("x")
	next, d := blobServer(content)
	proxy := newRegistry(t, next)
	c := impatient()
	c.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	r := &testRegistry{t: t, host: "registry.localhost:1"}
	if got := layerBytes(t, pulled(t, r, c, d)); string(got) != string(content) {
		t.Errorf("got %q", got)
	}
}

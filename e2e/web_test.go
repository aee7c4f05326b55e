//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startWeb starts a web of its own: a proxy through which all hosts are a server that has what is in
// testdata/web below the name of the host, and one git repository. It returns the variables that make a program
// use and trust it.
func startWeb(t *testing.T) (variables []string) {
	t.Helper()
	dir := t.TempDir()
	makeTheme(t, filepath.Join(dir, "github.com", "example", "theme.git"))
	server := httptest.NewUnstartedServer(webHandler(t, dir))
	certificate := webCertificate(t, "example.com", "github.com")
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(tunnelTo(server.Listener.Addr().String()))
	t.Cleanup(proxy.Close)

	trusted := filepath.Join(dir, "ca.pem")
	writeFile(t, trusted, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})))
	return []string{"HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + trusted, "GIT_SSL_CAINFO=" + trusted}
}

// webHandler serves files, and the git repositories in dir.
func webHandler(t *testing.T, dir string) http.Handler {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	repositories := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Root: "/", Dir: dir, Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}}
	files := http.FileServer(http.Dir("testdata/web"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/" + r.Host + r.URL.Path
		if strings.Contains(r.URL.Path, ".git/") {
			repositories.ServeHTTP(w, r)
			return
		}
		files.ServeHTTP(w, r)
	})
}

// tunnelTo is a proxy that connects to one address whatever it is asked for.
func tunnelTo(address string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT is known", http.StatusMethodNotAllowed)
			return
		}
		server, err := new(net.Dialer).DialContext(r.Context(), "tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer server.Close() //nolint:errcheck // what was sent has arrived or the reader has gone
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return // the connection is gone
		}
		defer client.Close() //nolint:errcheck // likewise
		if _, err := io.WriteString(client, "HTTP/1.1 200 Connected\r\n\r\n"); err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(server, client) // it ends when either side closes
			_ = server.Close()             // it may be closed already
		}()
		_, _ = io.Copy(client, server) // likewise
	})
}

// webCertificate makes a certificate for hosts, which signs itself.
func webCertificate(t *testing.T, hosts ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// makeTheme makes a repository with a theme for hugo, whose release has the tag v2.
func makeTheme(t *testing.T, path string) {
	t.Helper()
	page := filepath.Join(path, "layouts", "index.html")
	if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, page, "<h1>{{ .Site.Title }}</h1>\n")
	output(t, "git", "-C", path, "init", "--quiet")
	output(t, "git", "-C", path, "add", ".")
	output(t, "git", "-C", path, "-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "commit", "--quiet", "--message", "theme")
	output(t, "git", "-C", path, "tag", "v2")
}

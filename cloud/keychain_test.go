package cloud

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// found is what a keychain has for a registry, as user:password or the identity token.
func found(t *testing.T, k authn.Keychain, host string) string {
	t.Helper()
	r, err := name.NewRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	a, err := authn.Resolve(t.Context(), k, r)
	if err != nil {
		return "error: " + err.Error()
	}
	c, err := authn.Authorization(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if *c == (authn.AuthConfig{}) {
		return ""
	}
	return strings.TrimPrefix(c.Username+":"+c.Password+c.IdentityToken, ":")
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestCI(t *testing.T) {
	job := environment("CI_REGISTRY", "r.gitlab.test", "CI_JOB_TOKEN", "job", "CI_DEPENDENCY_PROXY_SERVER", "gitlab.test:443",
		"CI_DEPENDENCY_PROXY_USER", "dp", "CI_DEPENDENCY_PROXY_PASSWORD", "dpw")
	deploy := environment("CI_REGISTRY", "r.gitlab.test", "CI_REGISTRY_USER", "u", "CI_REGISTRY_PASSWORD", "p", "CI_JOB_TOKEN", "job")
	workflow := environment("GITHUB_TOKEN", "gh", "GITHUB_ACTOR", "octo")
	for _, c := range []struct {
		source     source
		host, want string
	}{
		{gitLab(job), "r.gitlab.test", "gitlab-ci-token:job"},
		{gitLab(job), "gitlab.test:443", "dp:dpw"},
		{gitLab(job), "evil.r.gitlab.test", ""},
		{gitLab(deploy), "r.gitlab.test", "u:p"},
		{gitLab(environment()), "r.gitlab.test", ""},
		{gitHub(workflow), "ghcr.io", "octo:gh"},
		{gitHub(workflow), "ghcr.io.evil.test", ""},
		{gitHub(workflow), "evil-ghcr.io", ""},
		{gitHub(environment("GITHUB_TOKEN", "gh")), "ghcr.io", "token:gh"},
		{gitHub(environment()), "ghcr.io", ""},
	} {
		if got := found(t, c.source, c.host); got != c.want {
			t.Errorf("%s: got %q, want %q", c.host, got, c.want)
		}
	}
}

// Hosts are matched as a whole.
func TestHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"gcr.io": true, "eu.gcr.io": true, "europe-west1-docker.pkg.dev": true,
		"gcr.io.evil.test": false, "evilgcr.io": false, "evil.pkg.dev": false, "docker.pkg.dev": false,
	} {
		if got := googleHosts.MatchString(host); got != want {
			t.Errorf("google: %s: %t", host, got)
		}
	}
	for host, want := range map[string]bool{
		"mine.azurecr.io": true, "mine.azurecr.cn": true, "mine.westeurope.data.azurecr.io": true,
		"azurecr.io": false, "mine.azurecr.io.evil.test": false, "mineazurecr.io": false, "a.b.azurecr.io": false,
	} {
		if got := azureHosts.MatchString(host); got != want {
			t.Errorf("azure: %s: %t", host, got)
		}
	}
}

// elsewhere sends all requests to one server.
type elsewhere struct{ to *url.URL }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Was", r.URL.Scheme+"://"+r.URL.Host)
	r.URL.Scheme, r.URL.Host = e.to.Scheme, e.to.Host
	return http.DefaultTransport.RoundTrip(r)
}

func simulate(t *testing.T, h http.HandlerFunc) *http.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: elsewhere{u}, CheckRedirect: noRedirect}
}

// The token of each kind of identity is exchanged for one of the registry.
func TestAzure(t *testing.T) {
	assertion := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(assertion, []byte("jwt\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := simulate(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		switch at := r.Header.Get("X-Was") + r.URL.Path; {
		case at == "https://login.microsoftonline.com/tenant/oauth2/v2.0/token" && (r.Form.Get("client_assertion") == "jwt" || r.Form.Get("client_secret") == "secret"),
			at == "http://identity.test/msi" && r.Header.Get("X-Identity-Header") == "header":
			_, _ = w.Write([]byte(`{"access_token":"entra"}`))
		case at == "https://mine.azurecr.io/oauth2/exchange" && r.Form.Get("access_token") == "entra" && r.Form.Get("service") == "mine.azurecr.io":
			_, _ = w.Write([]byte(`{"refresh_token":"refresh"}`))
		default:
			http.Error(w, "no", http.StatusUnauthorized)
		}
	})
	for _, c := range []struct {
		name string
		env  func(string) string
		host string
		want string
	}{
		{"federated", environment("AZURE_TENANT_ID", "tenant", "AZURE_CLIENT_ID", "c", "AZURE_FEDERATED_TOKEN_FILE", assertion), "mine.azurecr.io", "refresh"},
		{"secret", environment("AZURE_TENANT_ID", "tenant", "AZURE_CLIENT_ID", "c", "AZURE_CLIENT_SECRET", "secret"), "mine.azurecr.io", "refresh"},
		{"managed", environment("IDENTITY_ENDPOINT", "http://identity.test/msi", "IDENTITY_HEADER", "header"), "mine.azurecr.io", "refresh"},
		{"nobody", environment(), "mine.azurecr.io", ""},
		{"another host", environment("AZURE_TENANT_ID", "tenant", "AZURE_CLIENT_ID", "c", "AZURE_CLIENT_SECRET", "secret"), "mine.azurecr.io.evil.test", ""},
		{"wrong secret", environment("AZURE_TENANT_ID", "tenant", "AZURE_CLIENT_ID", "c", "AZURE_CLIENT_SECRET", "x"), "mine.azurecr.io", "error: getting a token of Azure: POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token: 401 Unauthorized"},
		{"insecure authority", environment("AZURE_TENANT_ID", "t", "AZURE_CLIENT_ID", "c", "AZURE_CLIENT_SECRET", "x", "AZURE_AUTHORITY_HOST", "http://evil.test"), "mine.azurecr.io", "error: $AZURE_AUTHORITY_HOST is not a URL of https"},
	} {
		a := &azure{getenv: c.env, client: client}
		if got := found(t, source(a.credentials), c.host); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

package cloud

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// googleServer simulates the metadata server of a machine and Google's token endpoint, as their documentation has them
// (https://cloud.google.com/compute/docs/access/authenticate-workloads,
// https://developers.google.com/identity/protocols/oauth2/service-account and https://cloud.google.com/iam/docs/reference/sts/rest).
type googleServer struct {
	*httptest.Server
	// machine: a service account belongs to the machine.
	machine bool
	asked   []string
}

func newGoogleServer(t *testing.T) *googleServer {
	t.Helper()
	g := &googleServer{}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

// ServeHTTP implements http.Handler.
func (g *googleServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.asked = append(g.asked, r.URL.Path)
	_ = r.ParseForm()
	token := ""
	switch r.URL.Path {
	case "/computeMetadata/v1/instance/service-accounts/default/token":
		if g.machine && r.Header.Get("Metadata-Flavor") == "Google" {
			token = "of-the-machine"
		}
	case "/token":
		if claims(r.Form.Get("assertion"))["iss"] == "builder@project.iam.gserviceaccount.com" {
			token = "of-the-account"
		}
	case "/sts":
		if r.Form.Get("subject_token") == "jwt" {
			token = "of-the-workload"
		}
	}
	if token == "" {
		http.Error(w, "no\nat all", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client hangs up
		"access_token": token, "token_type": "Bearer", "expires_in": 3600, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
	})
}

// claims are what a JSON web token says.
func claims(token string) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var all map[string]any
	_ = json.Unmarshal(raw, &all) // what is wrong has no claims
	return all
}

func credentialsFile(t *testing.T, content map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func accountFile(t *testing.T, url, email string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return credentialsFile(t, map[string]any{
		"type": "service_account", "client_email": email, "private_key": string(text), "private_key_id": "1", "token_uri": url + "/token",
	})
}

func workloadFile(t *testing.T, url string) string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("jwt"), 0o600); err != nil {
		t.Fatal(err)
	}
	return credentialsFile(t, map[string]any{
		"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": url + "/sts", "credential_source": map[string]any{"file": token},
	})
}

// gcloud is a directory with a program of that name which does what its documentation says.
func gcloud(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\n[ \"$1 $2\" = 'config config-helper' ] && echo '{\"credential\":{\"access_token\":\"of-gcloud\",\"token_expiry\":\"2099-01-01T00:00:00Z\"}}'\n"
	if err := os.WriteFile(filepath.Join(dir, "gcloud"), []byte(script), 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	return dir
}

// Every kind of identity gives a token, to hosts of Google's registries only.
func TestGoogle(t *testing.T) {
	g := newGoogleServer(t)
	const good = "builder@project.iam.gserviceaccount.com"
	for _, c := range []struct {
		name, file string
		machine    bool
		path       string
		host, want string
	}{
		{"service account", accountFile(t, g.URL, good), false, "", "europe-west1-docker.pkg.dev", "_token:of-the-account"},
		{"workload", workloadFile(t, g.URL), false, "", "gcr.io", "_token:of-the-workload"},
		{"machine", "", true, "", "us-docker.pkg.dev", "_token:of-the-machine"},
		{"file before machine", accountFile(t, g.URL, good), true, "", "eu.gcr.io", "_token:of-the-account"},
		{"gcloud", "", false, gcloud(t), "gcr.io", "_token:of-gcloud"},
		{"nobody", "", false, "", "gcr.io", ""},
		{"another host", accountFile(t, g.URL, good), true, "", "gcr.io.evil.test", ""},
		{"another registry of the domain", accountFile(t, g.URL, good), true, "", "evil.pkg.dev", ""},
		{"refused", accountFile(t, g.URL, "other"), true, "", "gcr.io", "error: using $GOOGLE_APPLICATION_CREDENTIALS: "},
		{"no file", "/nonexistent/key.json", true, "", "gcr.io", "error: using $GOOGLE_APPLICATION_CREDENTIALS: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", c.file)
			t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(g.URL, "http://"))
			t.Setenv("HOME", t.TempDir())
			t.Setenv("PATH", c.path+":/bin")
			g.machine, g.asked = c.machine, nil
			k := &googleKeychain{getenv: os.Getenv}
			got := found(t, k, c.host)
			if strings.HasPrefix(c.want, "error") {
				if !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n") {
					t.Errorf("got %q, want %q…", got, c.want)
				}
				return
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if again := found(t, k, c.host); again != got {
				t.Errorf("then got %q", again)
			}
			if strings.HasPrefix(c.name, "another") && len(g.asked) > 0 {
				t.Errorf("asked for %q", g.asked)
			}
		})
	}
}

//go:build linux

package fetch

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// only lets requests pass that come with this Authorization.
func only(authorization string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if strings.EqualFold(r.Header.Get("Authorization"), authorization) {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

func encoded(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }

func TestGitCredentials(t *testing.T) {
	s := newGitServer(t)
	r, first, _ := sample(s)
	host := strings.TrimPrefix(s.URL, "http://")
	withUser := strings.Replace(r.url, "//", "//user:s3cret@", 1)
	for _, tt := range []struct {
		name, address string
		secrets       map[string]string
		want          string
	}{
		{"token", r.url, map[string]string{"GIT_AUTH_TOKEN": "s3cret\n"}, encoded("x-access-token:s3cret")},
		{"token for host", r.url, map[string]string{"GIT_AUTH_TOKEN." + host: "s3cret", "GIT_AUTH_TOKEN": "other"}, encoded("x-access-token:s3cret")},
		{"header", r.url, map[string]string{"GIT_AUTH_HEADER": "Bearer s3cret"}, "Bearer s3cret"},
		{"header for host", r.url, map[string]string{"GIT_AUTH_HEADER." + host: "Bearer s3cret", "GIT_AUTH_TOKEN." + host: "other"}, "Bearer s3cret"},
		{"address", withUser, nil, encoded("user:s3cret")},
		{"secret and address", withUser, map[string]string{"GIT_AUTH_TOKEN": "s3cret"}, encoded("x-access-token:s3cret")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.intercept(only(tt.want))
			g := newGit(t, t.TempDir())
			g.Secret = secretsOf(tt.secrets)
			arguments := recordArguments(t, g)
			rev, err := g.Resolve(t.Context(), tt.address, "v1")
			if err != nil || rev.Commit != first {
				t.Fatal(rev, err)
			}
			checkout(t, g, Checkout{Commit: Commit{Remote: tt.address, Ref: "v1", ID: first}, KeepGitDir: true})
			wantNothing(t, filepath.Dir(arguments), "s3cret")
			wantNothing(t, g.Dir, "s3cret")

			// With others it fails, and they are not shown.
			g = newGit(t, t.TempDir())
			g.Secret = secretsOf(map[string]string{"GIT_AUTH_TOKEN": "wr0ng"})
			_, err = g.Resolve(t.Context(), strings.Replace(r.url, "//", "//user:wr0ng@", 1), "")
			wantError(t, err, "looking up "+r.url)
			if strings.Contains(err.Error(), "wr0ng") || strings.Contains(err.Error(), encoded("x-access-token:wr0ng")) {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

// recordArguments makes g run git through a script that notes with which arguments.
func recordArguments(t *testing.T, g *Git) (file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "arguments")
	g.Program = filepath.Join(t.TempDir(), "git")
	write(t, g.Program, "#!/bin/sh\necho \"$@\" >>"+file+"\nexec git \"$@\"\n")
	return file
}

// What git could be asked for a secret it does not have fails at once, and asks nobody.
func TestNoCredentials(t *testing.T) {
	s := newGitServer(t)
	r, _, _ := sample(s)
	s.intercept(only("none"))
	_, err := newGit(t, t.TempDir()).Resolve(t.Context(), r.url, "")
	wantError(t, err, "access denied: a secret called GIT_AUTH_TOKEN")

	g := newGit(t, t.TempDir())
	g.Secret = func(string) ([]byte, error) { return nil, errors.New("no such device") }
	_, err = g.Resolve(t.Context(), r.url, "")
	wantError(t, err, "reading the secret GIT_AUTH_HEADER", "no such device")
}

func TestGitRedirect(t *testing.T) {
	s, other := newGitServer(t), newGitServer(t)
	r, _, second := sample(other)
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL+r.URL.RequestURI(), http.StatusMovedPermanently)
		return true
	})
	address := strings.Replace(r.url, other.URL, s.URL, 1)
	checkout(t, newGit(t, t.TempDir()), Checkout{Commit: Commit{Remote: address, ID: second}})
	other.requests()

	g := newGit(t, t.TempDir())
	g.Secret = secretsOf(map[string]string{"GIT_AUTH_TOKEN": "s3cret"})
	_, err := g.Checkout(t.Context(), Checkout{Commit: Commit{Remote: address, ID: second}})
	wantError(t, err, "the repository is at another address now")
	_, err = g.Resolve(t.Context(), address, "")
	wantError(t, err, "the repository is at another address now")
	if n := other.requests(); n != 0 {
		t.Errorf("the other server was asked %d times", n)
	}
}

// A redirect to a file of this machine is not followed.
func TestGitRedirectToFile(t *testing.T) {
	s := newGitServer(t)
	r, _, second := sample(s)
	s.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		w.Header().Set("Location", "file://"+r.dir+"/info/refs?service=git-upload-pack")
		w.WriteHeader(http.StatusFound)
		return true
	})
	_, err := newGit(t, t.TempDir()).Checkout(t.Context(), Checkout{Commit: Commit{Remote: r.url, ID: second}})
	wantError(t, err, "git fetch")
}

// Submodules get the credentials of their own host, and those of the repository only at its origin.
func TestCredentialsOfSubmodules(t *testing.T) {
	s, other := newGitServer(t), newGitServer(t)
	foreign := other.repo("foreign.git")
	foreignID := foreign.commit(map[string]string{"f": "foreign"})
	near := s.repo("near.git")
	nearID := near.commit(map[string]string{"n": "near"})
	top := s.repo("top.git")
	id := top.commit(map[string]string{
		".gitmodules": modules("near", "../near.git", "foreign", foreign.url), "near": "@" + nearID, "foreign": "@" + foreignID,
	})
	s.intercept(only(encoded("x-access-token:s3cret")))
	g := newGit(t, t.TempDir())
	g.Secret = secretsOf(map[string]string{"GIT_AUTH_TOKEN": "s3cret", "GIT_AUTH_TOKEN." + strings.TrimPrefix(other.URL, "http://"): "x"})
	checkout(t, g, Checkout{Commit: Commit{Remote: top.url, ID: id}})
	other.mu.Lock()
	defer other.mu.Unlock()
	// Over http not even the secret for that host is sent, because nobody has asked for it.
	if len(other.authorizations) == 0 || slices.ContainsFunc(other.authorizations, func(a string) bool { return a != "" }) {
		t.Errorf("the other server got %q", other.authorizations)
	}
}

func TestAuthorization(t *testing.T) {
	g := &Git{Secret: secretsOf(map[string]string{"GIT_AUTH_TOKEN": "all", "GIT_AUTH_TOKEN.sub": "sub", "GIT_AUTH_HEADER.port:8443": "port"})}
	all := []string{"https", "http", "ssh", "git"}
	for _, tt := range []struct{ address, top, want string }{
		{"https://top/r", "https://top/r", basic("x-access-token", "all")},
		{"https://top:443/x", "https://top/r", basic("x-access-token", "all")},
		{"http://top/x", "https://top/r", ""},
		{"http://top/x", "http://top/r", basic("x-access-token", "all")},
		{"https://sub/r", "https://top/r", basic("x-access-token", "sub")},
		{"http://sub/r", "https://top/r", ""},
		{"https://sub:8443/r", "https://top/r", ""},
		{"https://port:8443/r", "https://top/r", "port"},
		{"https://u:p@other/r", "https://top/r", basic("u", "p")},
		{"https://other/r", "https://u:p@top/r", ""},
		{"ssh://top/r", "https://top/r", ""},
		{"git@top:r", "git@top:r", ""},
	} {
		r, err := parseRemote(tt.address, all)
		if err != nil {
			t.Fatal(err)
		}
		top, err := parseRemote(tt.top, all)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := g.authorization(r, top); got != tt.want || err != nil {
			t.Errorf("%s from %s: got %q, %v, want %q", tt.address, tt.top, got, err, tt.want)
		}
	}
}

// ssh is reached with the agent and the known keys it was given, and no configuration. Its place takes a script
// that runs what it is asked to run, on this machine.
func TestSSH(t *testing.T) {
	s := newGitServer(t)
	r, _, second := sample(s)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ssh"), "#!/bin/sh\n"+
		"printf '%s\\n' \"$@\" \"agent $SSH_AUTH_SOCK\" >"+dir+"/arguments\nfor last; do :; done\nexec sh -c \"$last\"\n")
	g := newGit(t, t.TempDir())
	g.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	g.KnownHosts = "/home/it's \"100%\"/known hosts"
	g.Agent = func(id string) (string, error) { return "/run/" + id, nil }
	address := (&url.URL{Scheme: "ssh", User: url.UserPassword("git", "s3cret"), Host: "h:2222", Path: r.dir}).String()
	checkout(t, g, Checkout{Commit: Commit{Remote: address, ID: second}})
	want := strings.Join([]string{
		"-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o",
		`UserKnownHostsFile="/home/it's \"100%%\"/known hosts"`, "-o", "SendEnv=GIT_PROTOCOL", "-p", "2222", "git@h",
		"git-upload-pack '" + r.dir + "'", "agent /run/default", "",
	}, "\n")
	got, err := os.ReadFile(filepath.Join(dir, "arguments"))
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}

	g.KnownHosts, g.Agent = "", func(string) (string, error) { return "", fs.ErrNotExist }
	if _, err := g.Resolve(t.Context(), "git@h:"+r.dir, "main"); err != nil {
		t.Fatal(err)
	}
	got, err = os.ReadFile(filepath.Join(dir, "arguments"))
	if err != nil || !strings.Contains(string(got), "StrictHostKeyChecking=accept-new") || !strings.Contains(string(got), "agent \n") {
		t.Errorf("got %s, %v", got, err)
	}

	g.Agent = func(string) (string, error) { return "", errors.New("no such key") }
	_, err = g.Resolve(t.Context(), "git@h:"+r.dir, "main")
	wantError(t, err, "reaching the SSH agent: no such key")
}

// Certificates are those that were given.
func TestGitCertificates(t *testing.T) {
	s := newGitServer(t)
	r, _, second := sample(s)
	secure := serveTLS(t, s.Config.Handler)
	address := strings.Replace(r.url, s.URL, secure.URL, 1)
	g := newGit(t, t.TempDir())
	_, err := g.Resolve(t.Context(), address, "")
	wantError(t, err, "certificate")
	g.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	write(t, g.CAFile, pemOf(secure.Certificate()))
	if rev, err := g.Resolve(t.Context(), address, ""); err != nil || rev.Commit != second {
		t.Errorf("got %v, %v", rev, err)
	}
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

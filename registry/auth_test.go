package registry

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-298d225e/builder/httpclient"
)

func TestBasic(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 10, 1)
	r.faults = append(r.faults, func(w http.ResponseWriter, req *http.Request) bool {
		if user, password, _ := req.BasicAuth(); user == "user" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="somewhere"`)
		complain(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	})
	c := impatient()
	c.Keychain = userOf(r)
	resolve(t, newClient(t, c), r.tag("app:v1"))

	c.Keychain = credentials{r.host: {Username: "user", Password: "wrong"}}
	_, err := newClient(t, c).Resolve(t.Context(), r.tag("app:v1"), anyOf)
	wantError(t, err, "401 Unauthorized", "with the credentials for "+r.host)

	c.Keychain = nil
	_, err = newClient(t, c).Resolve(t.Context(), r.tag("app:v1"), anyOf)
	wantError(t, err, "401 Unauthorized: UNAUTHORIZED: authentication required", "there are no credentials for "+r.host)
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v is not fs.ErrPermission", err)
	}
}

// r-redirect-auth, p-location: a redirect to another host gets no credentials, and its challenges no answer.
func TestRedirectGetsNoCredentials(t *testing.T) {
	content := []byte("a layer somewhere else")
	next, d := blobServer(content)
	r, storage := newRegistry(t, next), newRegistry(t, next)
	s, evil := newTokenServer(t, always), newTokenServer(t, always)
	s.protect(r)
	var leaked []string
	storage.faults = append(storage.faults, func(w http.ResponseWriter, req *http.Request) bool {
		for _, name := range []string{"Authorization", "Referer", "Cookie"} {
			if v := req.Header.Get(name); v != "" {
				leaked = append(leaked, v)
			}
		}
		return false
	})
	r.on(http.MethodGet, "/blobs/", always, respond(http.StatusTemporaryRedirect, "Location", storage.URL+"/x/"+d.Digest.String()))
	c := impatient()
	c.Keychain = userOf(r)
	if got := layerBytes(t, pulled(t, r, c, d)); string(got) != string(content) {
		t.Errorf("got %q", got)
	}
	evil.protectAt(storage, evil.URL)
	_, err := readLayer(pulled(t, r, c, d))
	wantError(t, err, "401")
	if len(leaked) > 0 || len(evil.asked) > 0 {
		t.Errorf("the other host got %q, its token server %q", leaked, evil.asked)
	}
}

// r-realm-evil: a token server under a link-local address is not asked.
func TestRealmEvil(t *testing.T) {
	for _, realm := range []string{
		"http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]/",
		"file:///etc/passwd", "//", "", "gopher://x", "http://%zz",
	} {
		r := newRegistry(t, nil)
		s := newTokenServer(t, always)
		s.protectAt(r, realm)
		c := impatient()
		c.Keychain = userOf(r)
		start := time.Now()
		_, err := newClient(t, c).Resolve(t.Context(), r.tag("app:v1"), anyOf)
		wantError(t, err, "resolving")
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %s", realm, took)
		}
	}
}

func FuzzAuthHeader(f *testing.F) {
	f.Add(`Bearer realm="https://a/b",service="s"`, "/v2/app/blobs/uploads/1?state=x", "bytes 0-5/6", "0-5", "120")
	f.Add(`Basic realm=x, Bearer`, "http://evil/", "bytes */6", "bytes=0-0", "Fri, 31 Dec 1999 23:59:59 GMT")
	f.Fuzz(func(t *testing.T, challenge, location, contentRange, uploadRange, retryAfter string) {
		h := &host{name: "registry.example", scheme: "https", address: "registry.example"}
		if c := choose(http.Header{"Www-Authenticate": {challenge}}); c != nil && c.scheme == "bearer" {
			if u, err := c.realm(h.url()); err == nil && (u.Scheme != "https" || u.Host == "" || u.User != nil) {
				t.Fatalf("the realm %s was accepted", u)
			}
		}
		u := &upload{endpoint: endpoint{host: h}}
		resp := &http.Response{Request: &http.Request{URL: h.url()}, Header: http.Header{"Location": {location}}}
		if err := u.moved(resp); err == nil && u.location != nil && (u.location.Scheme != "https" || u.location.User != nil) {
			t.Fatalf("the location %s was accepted", u.location)
		}
		if start, total, err := parseContentRange(contentRange); err == nil && (start < 0 || (total >= 0 && start >= total)) {
			t.Fatalf("the range %d of %d was accepted", start, total)
		}
		if n, err := parseUploadRange(uploadRange); err == nil && n < 0 {
			t.Fatalf("the range %d was accepted", n)
		}
		if wait := httpclient.ParseRetryAfter(retryAfter, time.Now()); wait < 0 || wait > 24*time.Hour {
			t.Fatalf("a wait of %s was accepted", wait)
		}
	})
}

// A challenge may name a repository in another way than we do, but never widens what is asked for later.
func TestScopes(t *testing.T) {
	a := access{scopes: []string{"repository:app:pull"}}
	for asked, want := range map[string]string{
		"": "repository:app:pull", "repository:app:pull,push": "repository:app:pull", "nonsense": "repository:app:pull",
		"repository:org/app:pull": "repository:app:pull repository:org/app:pull",
	} {
		if got := strings.Join(a.with(asked), " "); got != want {
			t.Errorf("%s: got %q, want %q", asked, got, want)
		}
	}
	var g guard
	g.learn(&challenge{scheme: "bearer", params: map[string]string{"realm": "r", "scope": "s"}})
	if c := g.last(); c.params["realm"] != "r" || c.params["scope"] != "" {
		t.Errorf("got %+v", c)
	}
}

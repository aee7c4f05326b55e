package registry

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// tokenServer hands out tokens that are good for a number of requests.
type tokenServer struct {
	*httptest.Server
	user, password string
	lives          int

	mu     sync.Mutex
	issued int
	uses   map[string]int
	scopes map[string][]string
	asked  []string
}

func newTokenServer(t *testing.T, lives int) *tokenServer {
	t.Helper()
	s := &tokenServer{user: "user", password: "secret", lives: lives, uses: map[string]int{}, scopes: map[string][]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.issue))
	t.Cleanup(s.Close)
	return s
}

func (s *tokenServer) issue(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = r.ParseForm()
	s.asked = append(s.asked, r.Method+" "+r.Form.Encode())
	user, password, _ := r.BasicAuth()
	byPassword := r.Method == http.MethodGet && user == s.user && password == s.password
	byToken := r.Method == http.MethodPost && r.Form.Get("refresh_token") == s.password
	if !byPassword && !byToken {
		complain(w, http.StatusUnauthorized, "UNAUTHORIZED", "who are you?")
		return
	}
	s.issued++
	token := fmt.Sprintf("token-%d", s.issued)
	s.scopes[token] = strings.Fields(strings.Join(r.Form["scope"], " "))
	fmt.Fprintf(w, `{"access_token":%q,"refresh_token":"never to be used","scope":"repository:other:pull"}`, token)
}

// protect lets only requests with a token through to r.
func (s *tokenServer) protect(r *testRegistry) {
	s.protectAt(r, s.URL+"/token?already=there")
}

func (s *tokenServer) protectAt(r *testRegistry, realm string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, func(w http.ResponseWriter, req *http.Request) bool {
		token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
		scope, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v2/"), "/")
		scope = "repository:" + scope + ":pull"
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			scope += ",push"
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.uses[token]++
		allowed := slices.ContainsFunc(s.scopes[token], func(have string) bool { return strings.HasPrefix(have, scope) })
		if allowed && s.uses[token] <= s.lives {
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="test registry",scope=%q`, realm, scope))
		complain(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	})
}

// credentials are those of one registry.
type credentials map[string]authn.AuthConfig

func (c credentials) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if a, ok := c[r.RegistryStr()]; ok {
		return authn.FromConfig(a), nil
	}
	return authn.Anonymous, nil
}

func userOf(r *testRegistry) credentials {
	return credentials{r.host: {Username: "user", Password: "secret"}}
}

// n-token: tokens that die after a few requests are replaced.
func TestBearerToken(t *testing.T) {
	for _, lives := range []int{always, 5, 1} {
		r := newRegistry(t, nil)
		want := r.fill("app:v1", 1000, 8)
		s := newTokenServer(t, lives)
		s.protect(r)
		c := impatient()
		c.Keychain = userOf(r)
		img := resolve(t, newClient(t, c), r.tag("app:v1"))
		for _, l := range img.Layers(t.Context()) {
			layerBytes(t, l)
		}
		if digest, _ := want.Digest(); img.Ref.DigestStr() != digest.String() {
			t.Errorf("got %s", img.Ref)
		}
		if lives == always && s.issued != 1 {
			t.Errorf("one token would have done, got %d: %q", s.issued, s.asked)
		}
		if want := "already=there"; !strings.Contains(s.asked[0], want) || !strings.Contains(s.asked[0], "service=test+registry") {
			t.Errorf("asked for %q", s.asked[0])
		}
	}
}

// Many requests at once share one token.
func TestTokenIsShared(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 10, 20)
	s := newTokenServer(t, always)
	s.protect(r)
	c := impatient()
	c.Keychain, c.Connections = userOf(r), 20
	client := newClient(t, c)
	layers := resolve(t, client, r.tag("app:v1")).Layers(t.Context())
	client.hosts["http://"+r.host].guard.answers = nil
	var wg sync.WaitGroup
	for _, l := range layers {
		wg.Go(func() {
			if _, err := readLayer(l); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s.issued != 2 {
		t.Errorf("%d tokens were issued, want 2", s.issued)
	}
}

func TestIdentityToken(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 10, 1)
	s := newTokenServer(t, always)
	s.protect(r)
	c := impatient()
	c.Keychain = credentials{r.host: {IdentityToken: "secret"}}
	resolve(t, newClient(t, c), r.tag("app:v1"))
	if !strings.HasPrefix(s.asked[0], "POST ") || !strings.Contains(s.asked[0], "grant_type=refresh_token") {
		t.Errorf("asked for %q", s.asked[0])
	}
}

func TestRegistryToken(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 10, 1)
	s := newTokenServer(t, always)
	s.protect(r)
	s.scopes["given"] = []string{"repository:app:pull"}
	c := impatient()
	c.Keychain = credentials{r.host: {RegistryToken: "given"}}
	resolve(t, newClient(t, c), r.tag("app:v1"))
	if len(s.asked) > 0 {
		t.Errorf("the token server was asked %q", s.asked)
	}
}

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
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: took %s", realm, took)
		}
	}
}

func TestLinkLocal(t *testing.T) {
	for address, want := range map[string]bool{
		"169.254.169.254": true, "169.254.0.1": true, "fe80::1": true, "fe80::1%eth0": true, "fd00:ec2::254": true, "100.100.100.200": true,
		"::ffff:169.254.1.1": true, "127.0.0.1": false, "10.0.0.1": false, "93.184.216.34": false, "::1": false, "fd00::1": false,
	} {
		if got := linkLocal(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %v", address, got)
		}
	}
}

// The address that a name has is looked at when the connection is made.
func TestDialerLooksAtAddresses(t *testing.T) {
	d := &dialer{guarded: true}
	_, err := d.dial(t.Context(), "tcp", "169.254.169.254:80")
	wantError(t, err, "refusing to connect to the link-local address")
	if !final(err) {
		t.Errorf("it would be tried again")
	}
	proxy := d.remember(func(*http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") })
	if _, err := proxy(nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.proxies.Load("127.0.0.1"); !ok {
		t.Errorf("the proxy is not known")
	}
}

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

// r-token-scope: a token server's answer is bounded.
func TestTokenBomb(t *testing.T) {
	r := newRegistry(t, nil)
	bomb := newRegistry(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}))
	s := newTokenServer(t, always)
	s.protectAt(r, bomb.URL)
	_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app:v1"), anyOf)
	wantError(t, err, "getting a token for "+r.host, "the allowed 1048576")
}

func TestTokenNonsense(t *testing.T) {
	r := newRegistry(t, nil)
	nonsense := newRegistry(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	newTokenServer(t, always).protectAt(r, nonsense.URL)
	_, err := newClient(t, impatient()).Resolve(t.Context(), r.tag("app:v1"), anyOf)
	wantError(t, err, "the answer of "+nonsense.host+" holds none")
}

func TestTokenServerRefuses(t *testing.T) {
	r := newRegistry(t, nil)
	s := newTokenServer(t, always)
	s.protect(r)
	c := impatient()
	c.Keychain = credentials{r.host: {Username: "user", Password: "wrong"}}
	_, err := newClient(t, c).Resolve(t.Context(), r.tag("app:v1"), anyOf)
	wantError(t, err, "getting a token for "+r.host, "who are you?", "with the credentials for "+r.host)
	if strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "scope=") {
		t.Errorf("the error says too much: %v", err)
	}
}

func TestTokenLifetime(t *testing.T) {
	for in, want := range map[int64]time.Duration{0: 50 * time.Second, -5: 50 * time.Second, 300: 290 * time.Second, 1 << 62: 12*time.Hour - 10*time.Second} {
		if got := (token{ExpiresIn: in}).lifetime(); got != want {
			t.Errorf("%d: got %s, want %s", in, got, want)
		}
	}
	a := &answer{}
	a.set("x", time.Now().Add(-time.Second))
	if got := a.get(time.Now()); got != "" {
		t.Errorf("a token was used after its time: %q", got)
	}
}

func TestParseChallenges(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
	}{
		{`Bearer realm="https://a/b",service="s",scope="repository:a:pull,push"`, "bearer https://a/b s repository:a:pull,push"},
		{`bearer  Realm = "https://a" , service=s`, "bearer https://a s "},
		{`Basic realm="x"`, "basic x  "},
		{`Negotiate, Basic realm="x", Bearer realm="https://a"`, "bearer https://a  "},
		{`Basic realm="x, Bearer realm=\"y\""`, `basic x, Bearer realm="y"  `},
		{`Bearer`, ""},
		{`Digest realm="x"`, ""},
		{`,,,`, ""},
		{`"quoted" x=y`, ""},
	} {
		got := ""
		if a := choose(http.Header{"Www-Authenticate": {c.in}}); a != nil {
			got = strings.Join([]string{a.scheme, a.params["realm"], a.params["service"], a.params["scope"]}, " ")
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.in, got, c.want)
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
		resp := &http.Response{Header: http.Header{"Location": {location}}}
		if err := u.moved(resp); err == nil && u.location != nil && (u.location.Scheme != "https" || u.location.User != nil) {
			t.Fatalf("the location %s was accepted", u.location)
		}
		if start, total, err := parseContentRange(contentRange); err == nil && (start < 0 || (total >= 0 && start >= total)) {
			t.Fatalf("the range %d of %d was accepted", start, total)
		}
		if n, err := parseUploadRange(uploadRange); err == nil && n < 0 {
			t.Fatalf("the range %d was accepted", n)
		}
		wait, again := Config{}.withDefaults().Retry.again(1, &StatusError{Status: 503, RetryAfter: parseRetryAfter(retryAfter, time.Now())})
		if again && (wait < 0 || wait > 2*time.Minute) {
			t.Fatalf("a wait of %s was accepted", wait)
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "99999999999999999999": 0, "4000000000": 24 * time.Hour,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := parseRetryAfter(in, now); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// The waits grow, are random, and end.
func TestBackOff(t *testing.T) {
	r := Config{}.withDefaults().Retry
	for try, most := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		var longest time.Duration
		for range 1000 {
			wait, again := r.again(try+1, &StatusError{Status: 500})
			if !again || wait > most {
				t.Fatalf("try %d: got %s, %v", try+1, wait, again)
			}
			longest = max(longest, wait)
		}
		if longest < most/2 {
			t.Errorf("try %d: never longer than %s", try+1, longest)
		}
	}
	if _, again := r.again(5, &StatusError{Status: 500}); again {
		t.Errorf("there is a sixth try")
	}
	r.Tries = 100
	if wait, _ := r.again(99, &StatusError{Status: 500}); wait > 16*time.Second {
		t.Errorf("got %s", wait)
	}
}

func TestUnusedDescriptorFields(t *testing.T) {
	d := v1.Descriptor{Digest: digestOf(nil), Annotations: map[string]string{"a": "b"}}
	l := &Layer{descriptor: d}
	got, err := l.Descriptor()
	if err != nil || got.Annotations["a"] != "b" {
		t.Errorf("got %+v, %v", got, err)
	}
}

package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
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

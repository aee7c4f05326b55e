package cloud

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const privateHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

// simulation is a server that answers as the API reference of Amazon ECR says. It is not Amazon's.
type simulation struct {
	asked        []string
	repositories map[string]string // name → mutability of tags
	failing      bool
}

func (s *simulation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, _ := io.ReadAll(r.Body)
	var in struct {
		RepositoryName  string
		RepositoryNames []string
	}
	_ = json.Unmarshal(body, &in)
	s.asked = append(s.asked, action)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	fail := func(kind string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":%q,"message":"no"}`, kind)
	}
	if s.failing || !strings.Contains(r.Header.Get("Authorization"), "Credential=AKID/") {
		fail("UnrecognizedClientException")
		return
	}
	switch action {
	case "GetAuthorizationToken":
		token := base64.StdEncoding.EncodeToString([]byte("AWS:token"))
		data := fmt.Sprintf(`{"authorizationToken":%q,"expiresAt":%d}`, token, time.Now().Add(12*time.Hour).Unix())
		if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "Spencer") { // the public gallery
			fmt.Fprintf(w, `{"authorizationData":%s}`, data)
			return
		}
		fmt.Fprintf(w, `{"authorizationData":[%s]}`, data)
	case "CreateRepository":
		if _, ok := s.repositories[in.RepositoryName]; ok {
			fail("RepositoryAlreadyExistsException")
			return
		}
		s.repositories[in.RepositoryName] = "MUTABLE"
		_, _ = w.Write([]byte(`{}`))
	case "DescribeRepositories":
		mutability, ok := s.repositories[in.RepositoryNames[0]]
		if !ok {
			fail("RepositoryNotFoundException")
			return
		}
		fmt.Fprintf(w, `{"repositories":[{"imageTagMutability":%q}]}`, mutability)
	}
}

// simulated makes the AWS SDK talk to a simulation.
func simulated(t *testing.T) *simulation {
	t.Helper()
	s := &simulation{repositories: map[string]string{"old": "MUTABLE", "fixed": "IMMUTABLE"}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_REGION": "", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	return s
}

func TestAmazonCredentials(t *testing.T) {
	s := simulated(t)
	a := source((&amazon{}).credentials)
	for _, c := range []struct{ host, want string }{
		{privateHost, "AWS:token"},
		{privateHost, "AWS:token"},
		{"public.ecr.aws", "AWS:token"},
		{privateHost + ".evil.test", ""},
		{"12345.dkr.ecr.eu-west-1.amazonaws.com", ""},
	} {
		if got := found(t, a, c.host); got != c.want {
			t.Errorf("%s: got %q, want %q", c.host, got, c.want)
		}
	}
	if len(s.asked) != 2 {
		t.Errorf("the simulation was asked %q, want one token for each registry", s.asked)
	}
	s.failing = true
	fresh := source((&amazon{}).credentials)
	if got := found(t, fresh, privateHost); !strings.HasPrefix(got, "error: asking AWS for a token for "+privateHost) {
		t.Errorf("got %q", got)
	}
	if got := found(t, fresh, "public.ecr.aws"); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestCreateRepository(t *testing.T) {
	s := simulated(t)
	for _, c := range []struct {
		host, repository, stored string
		created                  bool
	}{
		{privateHost, "team/new", "team/new", true},
		{privateHost, "team/new", "team/new", false},
		{privateHost, "old", "old", false},
		{"public.ecr.aws", "alias/app", "app", true},
	} {
		created, err := CreateRepository(t.Context(), c.host, c.repository)
		if _, ok := s.repositories[c.stored]; err != nil || created != c.created || !ok {
			t.Errorf("%s/%s: got %t, %v", c.host, c.repository, created, err)
		}
	}
	if _, err := CreateRepository(t.Context(), "ghcr.io", "x/y"); !errors.Is(err, ErrNotAmazon) {
		t.Errorf("got %v", err)
	}
}

func TestImmutableTags(t *testing.T) {
	simulated(t)
	for repository, want := range map[string]bool{"old": false, "fixed": true} {
		if got, err := ImmutableTags(t.Context(), privateHost, repository); got != want || err != nil {
			t.Errorf("%s: got %t, %v", repository, got, err)
		}
	}
	if _, err := ImmutableTags(t.Context(), privateHost, "absent"); err == nil {
		t.Error("a missing repository has tags")
	}
}

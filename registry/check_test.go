package registry

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		answer http.HandlerFunc
		want   []string
	}{
		{respond(http.StatusUnauthorized), []string{"checking write access to", "401", "log in to 127.0.0.1"}},
		{respond(http.StatusForbidden), []string{"403", "these credentials may not push there"}},
		{respond(http.StatusNotFound), []string{"404", "if the repository does not exist, create it"}},
		{respond(http.StatusInternalServerError), []string{"500"}},
	} {
		r := newRegistry(t, nil)
		r.on(http.MethodPost, "/blobs/", always, c.answer)
		wantError(t, newPusher(t, r, impatient()).Check(t.Context()), c.want...)
	}
	r := newRegistry(t, nil)
	p := newPusher(t, r, impatient())
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if got := r.requests(); len(got) != 2 || !strings.HasPrefix(got[1], "DELETE /v2/app/blobs/uploads/") {
		t.Errorf("got %q", got)
	}
}

// A registry that does not answer to an upload's being given up does not keep a build from ending.
func TestCheckIsNotGivenUp(t *testing.T) {
	r := newRegistry(t, nil)
	r.on(http.MethodDelete, "/blobs/uploads/", always, stallUpload(t))
	p := newPusher(t, r, impatient())
	p.to.client.farewell = 10 * time.Millisecond
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p.Close()
	if took := time.Since(began); took > 30*time.Second { // half of what an answer may take
		t.Errorf("it was waited for for %s", took)
	}
}

func TestCreateRepository(t *testing.T) {
	for _, c := range []struct{ registry, repository, want string }{
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "team/app", "aws ecr create-repository --region eu-west-1 --repository-name team/app"},
		{"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "app", "aws ecr create-repository --region us-gov-west-1 --repository-name app"},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "app", "aws ecr create-repository --region cn-north-1 --repository-name app"},
		{"123456789012.dkr-ecr.eu-west-1.on.aws", "app", "aws ecr create-repository --region eu-west-1 --repository-name app"},
		{"public.ecr.aws", "alias/team/app", "aws ecr-public create-repository --region us-east-1 --repository-name team/app"},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.com", "app", ""},
		{"123456789012xdkr.ecr.eu-west-1.amazonaws.com", "app", ""},
		{"ghcr.io", "app", ""},
	} {
		if got := createRepository(c.registry, c.repository); got != c.want {
			t.Errorf("%s: got %q, want %q", c.registry, got, c.want)
		}
	}
	repo, err := name.NewRepository("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app")
	if err != nil {
		t.Fatal(err)
	}
	if got := advice(repo, &StatusError{Status: 404}); !strings.HasSuffix(got, "create it with --create-repo or with: aws ecr create-repository --region eu-west-1 --repository-name app") {
		t.Errorf("got %q", got)
	}
}

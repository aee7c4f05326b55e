package registry

import (
	"net/http"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// expecting is a client that has an image and expects a tag to stand for it.
func expecting(t *testing.T, r *testRegistry, tag string) *Client {
	t.Helper()
	c := impatient()
	c.Blobs = diskBlobs(t.TempDir())
	first := newClient(t, c)
	resolve(t, first, r.tag(tag))
	c.Expected = first.Resolved()
	r.requests()
	return newClient(t, c)
}

// What a tag is expected to stand for is there before the registry has said so, which it is asked for once.
func TestExpectedTag(t *testing.T) {
	r := newRegistry(t, nil)
	want, _ := r.fill("app:v1", 100, 1).Digest()
	c := expecting(t, r, "app:v1")
	answer := make(chan bool)
	r.faults = append(r.faults, func(http.ResponseWriter, *http.Request) bool { <-answer; return false })
	for range 2 {
		if got := resolve(t, c, r.tag("app:v1")).Named.Digest; got != want {
			t.Errorf("got %s", got)
		}
	}
	if got := c.Resolved(); len(got) > 0 {
		t.Errorf("%v was not said by the registry", got)
	}
	close(answer)
	if err := c.Confirm(t.Context()); err != nil {
		t.Error(err)
	}
	if got := c.Resolved()[r.tag("app:v1").Name()]; got != want {
		t.Errorf("got %s", got)
	}
	if n := r.count("HEAD /v2/app/manifests/v1"); n != 1 {
		t.Errorf("the tag was asked for %d times", n)
	}
}

// A tag that has moved is not what was expected; from then on it is what it is now.
func TestExpectedTagMoved(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	c := expecting(t, r, "app:v1")
	want, _ := r.fill("app:v1", 100, 1).Digest()
	resolve(t, c, r.tag("app:v1"))
	wantError(t, c.Confirm(t.Context()), r.host+"/app:v1 stands for "+want.String()+", not for sha256:")
	if got := c.Resolved()[r.tag("app:v1").Name()]; got != want {
		t.Errorf("got %s", got)
	}
}

// Where the registry does not say what a tag stands for, it is not known.
func TestExpectedTagFails(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	c := expecting(t, r, "app:v1")
	r.on(http.MethodHead, "/manifests/", always, respond(http.StatusForbidden))
	r.on(http.MethodGet, "/manifests/", always, respond(http.StatusForbidden))
	resolve(t, c, r.tag("app:v1"))
	wantError(t, c.Confirm(t.Context()), "resolving "+r.host+"/app:v1", "403")
	if got := c.Resolved(); len(got) > 0 {
		t.Errorf("it is %v", got)
	}
}

// What is expected but not here is asked for at once.
func TestExpectedImageIsMissing(t *testing.T) {
	r := newRegistry(t, nil)
	want, _ := r.fill("app:v1", 100, 1).Digest()
	c := impatient()
	c.Expected = map[string]v1.Hash{r.tag("app:v1").Name(): {Algorithm: "sha256", Hex: digestOf([]byte("x")).Hex}}
	client := newClient(t, c)
	if got := resolve(t, client, r.tag("app:v1")).Named.Digest; got != want {
		t.Errorf("got %s", got)
	}
	if err := client.Confirm(t.Context()); err != nil {
		t.Error(err)
	}
}

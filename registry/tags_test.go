package registry

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// acquainted is a configuration with an image and what remembers that a tag stands for it.
func acquainted(t *testing.T, r *testRegistry, tag string) Config {
	t.Helper()
	c := impatient()
	c.Blobs, c.Tags = diskBlobs(t.TempDir()), NewTagsFile(filepath.Join(t.TempDir(), "tags"))
	resolve(t, newClient(t, c), r.tag(tag))
	r.requests()
	return c
}

// assuming is a client that has an image and assumes that a tag stands for it.
func assuming(t *testing.T, r *testRegistry, tag string) *Client {
	t.Helper()
	c := acquainted(t, r, tag)
	c.Assume = true
	return newClient(t, c)
}

// What a tag is assumed to stand for is there before the registry has said so, which it is asked for once.
func TestAssumedTag(t *testing.T) {
	r := newRegistry(t, nil)
	want, _ := r.fill("app:v1", 100, 1).Digest()
	c := assuming(t, r, "app:v1")
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

// A tag that has moved is not what was assumed; from then on it is what it is now.
func TestAssumedTagHasMoved(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	c := assuming(t, r, "app:v1")
	want, _ := r.fill("app:v1", 100, 1).Digest()
	resolve(t, c, r.tag("app:v1"))
	wantError(t, c.Confirm(t.Context()), r.host+"/app:v1 stands for "+want.String()+", not for sha256:")
	if got := c.Resolved()[r.tag("app:v1").Name()]; got != want {
		t.Errorf("got %s", got)
	}
}

// Where the registry does not say what a tag stands for, it is not known.
func TestAssumedTagFails(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	c := assuming(t, r, "app:v1")
	r.on(http.MethodHead, "/manifests/", always, respond(http.StatusForbidden))
	r.on(http.MethodGet, "/manifests/", always, respond(http.StatusForbidden))
	resolve(t, c, r.tag("app:v1"))
	wantError(t, c.Confirm(t.Context()), "resolving "+r.host+"/app:v1", "403")
	if got := c.Resolved(); len(got) > 0 {
		t.Errorf("it is %v", got)
	}
}

// Who assumes something is told at once that a registry does not answer: whoever must know asks it again, with patience.
func TestAssumingIsNotPatient(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	config := acquainted(t, r, "app:v1")
	r.on(http.MethodHead, "/manifests/", always, respond(http.StatusServiceUnavailable))
	for assume, want := range map[bool]int{true: 1, false: config.Retry.WithDefaults().Tries} {
		r.requests()
		config.Assume = assume
		c := newClient(t, config)
		_, err := c.Manifest(t.Context(), r.tag("app:v1"))
		if assume && err == nil {
			err = c.Confirm(t.Context())
		}
		wantError(t, err, "resolving "+r.host+"/app:v1", "503")
		if n := r.count("HEAD /v2/app/manifests/v1"); n != want {
			t.Errorf("assume %t: the tag was asked for %d times, not %d", assume, n, want)
		}
	}
}

// That a mirror fails once does not make what another registry says the answer, which is the mirror's to give.
func TestAssumingWaitsForMirror(t *testing.T) {
	upstream, mirror := newRegistry(t, nil), newRegistry(t, nil)
	upstream.fill("app:v1", 100, 1)
	want, _ := mirror.fill("app:v1", 100, 1).Digest()
	c := impatient()
	c.Hosts = map[string]Host{upstream.host: {Mirrors: []string{mirror.host}}}
	c.Blobs, c.Tags = diskBlobs(t.TempDir()), NewTagsFile(filepath.Join(t.TempDir(), "tags"))
	resolve(t, newClient(t, c), upstream.tag("app:v1"))
	mirror.on(http.MethodHead, "/manifests/", 1, respond(http.StatusServiceUnavailable))
	assumed := c
	assumed.Assume = true
	client := newClient(t, assumed)
	resolve(t, client, upstream.tag("app:v1"))
	wantError(t, client.Confirm(t.Context()), "503")
	if got := client.Resolved(); len(got) > 0 {
		t.Errorf("it is %v", got)
	}
	if got := resolve(t, newClient(t, c), upstream.tag("app:v1")).Named.Digest; got != want {
		t.Errorf("got %s, not what the mirror has", got)
	}
}

// What is assumed but not here is asked for at once.
func TestAssumedImageIsMissing(t *testing.T) {
	r := newRegistry(t, nil)
	want, _ := r.fill("app:v1", 100, 1).Digest()
	c := impatient()
	tags := NewTagsFile(filepath.Join(t.TempDir(), "tags"))
	tags.Note(r.tag("app:v1").Name(), digestOf([]byte("x")))
	c.Tags, c.Assume = tags, true
	client := newClient(t, c)
	if got := resolve(t, client, r.tag("app:v1")).Named.Digest; got != want {
		t.Errorf("got %s", got)
	}
	if err := client.Confirm(t.Context()); err != nil {
		t.Error(err)
	}
}

// A tag that nothing is known of is asked for in one request; one that may stand for what is here, with one that is not
// counted as a pull.
func TestTagIsAskedFor(t *testing.T) {
	r := newRegistry(t, nil)
	r.fill("app:v1", 100, 1)
	file := filepath.Join(t.TempDir(), "tags")
	c := impatient()
	c.Blobs = diskBlobs(t.TempDir())
	for _, want := range []string{"GET", "HEAD", "HEAD"} {
		tags := NewTagsFile(file)
		c.Tags = tags
		resolve(t, newClient(t, c), r.tag("app:v1"))
		if err := tags.Save(); err != nil {
			t.Fatal(err)
		}
		if got := r.requests(); !slices.Contains(got, want+" /v2/app/manifests/v1") || slices.Contains(got, "GET /v2/app/manifests/v1") != (want == "GET") {
			t.Errorf("want %s, got %q", want, got)
		}
	}
}

func TestTagsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tags")
	if err := os.WriteFile(file, []byte("damaged\nr.test/a:1 sha256:xx\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := NewTagsFile(file)
	if got := f.Find("r.test/a:1"); got != (v1.Hash{}) {
		t.Errorf("a damaged line gives %s", got)
	}
	f.Note("r.test/a:1", digestOf([]byte("x")))
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	if got := NewTagsFile(file).Find("r.test/a:1"); got != digestOf([]byte("x")) {
		t.Errorf("got %s", got)
	}
}

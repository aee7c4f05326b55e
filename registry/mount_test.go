package registry

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// perRepository makes a blob exist only in repositories that it was pushed to or mounted in.
type perRepository struct {
	next http.Handler
	// refuse makes every mount begin an upload instead; reject, if not 0, is the status of every mount.
	refuse bool
	reject int

	mu   sync.Mutex
	have map[string]bool
}

func (h *perRepository) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.answer(w, r) {
		h.next.ServeHTTP(w, r)
	}
}

func (h *perRepository) answer(w http.ResponseWriter, r *http.Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	repo, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/blobs/")
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("mount"):
		if h.reject != 0 {
			complain(w, h.reject, "DENIED", "no mounts")
			return true
		}
		if h.refuse || !h.have[q.Get("from")+"@"+q.Get("mount")] {
			r.URL.RawQuery = ""
			break
		}
		h.have[repo+"@"+q.Get("mount")] = true
	case r.Method == http.MethodPut && q.Has("digest"):
		h.have[repo+"@"+q.Get("digest")] = true
	case r.Method == http.MethodHead && strings.HasPrefix(rest, "sha256:") && !h.have[repo+"@"+rest]:
		complain(w, http.StatusNotFound, "BLOB_UNKNOWN", "not here")
		return true
	}
	return false
}

func newPerRepository(t *testing.T) (*perRepository, *testRegistry) {
	t.Helper()
	next, err := Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &perRepository{next: next, have: map[string]bool{}}
	return h, newRegistry(t, h)
}

// wrapped hides where a layer comes from behind another type.
type wrapped struct{ v1.Layer }

func (w wrapped) Unwrap() v1.Layer { return w.Layer }

// A layer of the same registry is mounted and not moved, even if it is wrapped.
func TestMount(t *testing.T) {
	_, r := newPerRepository(t)
	base := r.fill("base:v1", 100<<10, 2)
	client := newClient(t, impatient())
	p, err := client.Pusher(r.repo("app"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range resolve(t, client, r.tag("base:v1")).Layers(t.Context()) {
		if err := p.Layer(t.Context(), wrapped{wrapped{l}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range r.requests() {
		if strings.HasPrefix(s, "GET /v2/base/blobs/sha256") && !strings.Contains(s, configOf(t, base)) || strings.HasPrefix(s, "P") && !strings.HasPrefix(s, "POST") {
			t.Errorf("bytes were moved: %s", s)
		}
	}
	if err := pushImage(t.Context(), p, base, "v1"); err != nil {
		t.Fatal(err)
	}
	wantPushed(t, r, base, "v1")
}

func configOf(t *testing.T, img v1.Image) string {
	t.Helper()
	h, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// p-mount: a mount that is refused, one way or the other, becomes an upload from where the layer is.
func TestMountRefused(t *testing.T) {
	for _, reject := range []int{0, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusInternalServerError, http.StatusTooManyRequests} {
		h, r := newPerRepository(t)
		base := r.fill("base:v1", 100<<10, 1)
		h.refuse, h.reject = reject == 0, reject
		client := newClient(t, impatient())
		client.chunk = smallChunks
		p, err := client.Pusher(r.repo("app"))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range resolve(t, client, r.tag("base:v1")).Layers(t.Context()) {
			if err := p.Layer(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		if err := pushImage(t.Context(), p, base, "v1"); err != nil {
			t.Fatal(err)
		}
		wantPushed(t, r, base, "v1")
	}
}

// An upload that a mount has begun is given up if it is not gone on with: because the blob is there, or nobody knows.
func TestBegunByMountAndGivenUp(t *testing.T) {
	for _, there := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		h, r := newPerRepository(t)
		r.fill("base:v1", 100<<10, 1)
		h.refuse = true
		client := newClient(t, impatient())
		p, err := client.Pusher(r.repo("app"))
		if err != nil {
			t.Fatal(err)
		}
		layers := resolve(t, client, r.tag("base:v1")).Layers(t.Context())
		r.on(http.MethodHead, "/v2/app/blobs/", always, respond(there))
		r.requests()
		err = p.Layer(t.Context(), layers[0])
		p.Close()
		if (err == nil) != (there == http.StatusOK) {
			t.Errorf("%d: %v", there, err)
		}
		begun, ended := 0, 0
		for _, s := range r.requests() {
			switch {
			case strings.HasPrefix(s, http.MethodPost):
				begun++
			case strings.HasPrefix(s, http.MethodDelete):
				ended++
			}
		}
		if begun != 1 || ended != 1 {
			t.Errorf("%d: %d uploads were begun, %d given up", there, begun, ended)
		}
	}
}

// A blob that was just pushed to one repository is mounted in the next one of the same registry.
func TestSecondRepositoryIsMounted(t *testing.T) {
	_, r := newPerRepository(t)
	client := newClient(t, impatient())
	l := &countedLayer{Layer: randomLayer(t, 1000)}
	for _, repo := range []string{"a", "b", "c"} {
		p, err := client.Pusher(r.repo(repo))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Layer(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.opened.Load(); n != 1 {
		t.Errorf("the layer was read %d times", n)
	}
}

// A blob that is wanted in several repositories of a registry at once is sent to one of them.
func TestSeveralRepositoriesAtOnce(t *testing.T) {
	_, r := newPerRepository(t)
	client := newClient(t, impatient())
	l := &countedLayer{Layer: randomLayer(t, 100<<10)}
	var g errgroup.Group
	for _, repo := range []string{"a", "b", "c", "d", "e", "f"} {
		p, err := client.Pusher(r.repo(repo))
		if err != nil {
			t.Fatal(err)
		}
		g.Go(func() error { return p.Layer(t.Context(), l) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := l.opened.Load(); n != 1 {
		t.Errorf("the layer was read %d times", n)
	}
}

// Every request has the user agent, and tokens are asked for both repositories of a mount.
func TestMountScopes(t *testing.T) {
	_, r := newPerRepository(t)
	r.fill("base:v1", 1000, 1)
	s := newTokenServer(t, always)
	s.protect(r)
	c := impatient()
	c.Keychain = userOf(r)
	client := newClient(t, c)
	p, err := client.Pusher(r.repo("app"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range resolve(t, client, r.tag("base:v1")).Layers(t.Context()) {
		if err := p.Layer(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	both := []string{"repository:app:pull,push", "repository:base:pull"}
	if !slices.ContainsFunc(slices.Collect(maps.Values(s.scopes)), func(have []string) bool { return slices.Equal(have, both) }) {
		t.Errorf("got %q", s.scopes)
	}
}

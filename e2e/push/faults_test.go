//go:build e2e

package push

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

const dockerfile = "FROM scratch\nCOPY big /big\nCOPY Dockerfile /\n"

// whole checks an image or index in a registry with crane: all digests, sizes and layers.
func whole(t *testing.T, ref string) {
	t.Helper()
	if out := run(t, program("crane"), "validate", "--remote", ref); strings.Contains(out, "FAIL") {
		t.Errorf("%s: %s", ref, out)
	}
}

// absent checks that a tag does not exist.
func absent(t *testing.T, ref string) {
	t.Helper()
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(tag); err == nil {
		t.Errorf("%s exists", ref)
	}
}

// What passes does no harm: the image arrives whole, and not much more is sent than it weighs. docker-registry 2.8
// gives up an upload whose client cannot know how far it came, so a chunk that is cut off costs what was sent before.
func TestPushSurvives(t *testing.T) {
	registry, dir := distribution(t), buildContext(t, dockerfile)
	for _, c := range []struct {
		name  string
		fault fault
		// more is how much may be sent more than once.
		more int64
	}{
		{"reset-begin", fault{"POST", "/uploads/", 0, 2, reset}, 0},
		{"reset-chunk", fault{"PATCH", "/uploads/", 0, 1, resetAfter(20 << 20)}, 20 << 20},
		{"reset-second-chunk", fault{"PATCH", "/uploads/", 1, 1, resetAfter(1 << 20)}, 34 << 20},
		{"reset-after-chunk", fault{"PATCH", "/uploads/", 0, 1, afterwards}, 32 << 20},
		{"reset-complete", fault{"PUT", "/uploads/", 0, 2, reset}, 1 << 20},
		{"reset-after-complete", fault{"PUT", "/uploads/", 0, 1, afterwards}, 0},
		{"reset-manifest", fault{"PUT", "/manifests/", 0, 1, reset}, 1 << 20},
		{"reset-after-manifest", fault{"PUT", "/manifests/", 0, 1, afterwards}, 1 << 20},
		{"reset-head", fault{"HEAD", "/blobs/", 0, 2, reset}, 0},
		{"busy", fault{"PATCH", "/uploads/", 0, 1, status(http.StatusTooManyRequests, "Retry-After", "1")}, 32 << 20},
		{"busy-manifest", fault{"PUT", "/manifests/", 0, 2, status(http.StatusTooManyRequests, "Retry-After", "1")}, 1 << 20},
		{"burst", fault{"POST", "/uploads/", 0, 3, status(http.StatusInternalServerError)}, 0},
		{"burst-chunk", fault{"PATCH", "/uploads/", 0, 2, status(http.StatusServiceUnavailable)}, 64 << 20},
		{"slow", fault{"PATCH", "/uploads/", 0, 1, drip}, 0},
	} {
		t.Run(c.name, func(t *testing.T) { survives(t, registry, dir, "/survives-"+c.name+":v1", c.fault, c.more) })
	}
}

// survives pushes through a fault, for which no more bytes than more may be sent again.
func survives(t *testing.T, registry, dir, ref string, f fault, more int64) {
	t.Helper()
	p := newProxy(t, registry, f)
	code, said := builder(t, "build", "--progress=plain", "-t", p.address+ref, dir)
	hit, sent := p.counts()
	if code != 0 || hit == 0 {
		t.Fatalf("it exited with %d after %d faults: %s", code, hit, said)
	}
	whole(t, registry+ref)
	t.Logf("%d faults, %d MiB sent for %d MiB", hit, sent>>20, blobSize>>20)
	if most := int64(blobSize) + more + 1<<20; sent > most {
		t.Errorf("%d bytes were sent, at most %d are needed", sent, most)
	}
}

// A registry that tells how much it has gets only the rest.
func TestPushResumes(t *testing.T) {
	address := free(t)
	serve(t, address, program("builder"), "registry", "--listen", address, t.TempDir())
	p := newProxy(t, address, fault{"PATCH", "/uploads/", 0, 1, resetAfter(20 << 20)}, fault{"PATCH", "/uploads/", 0, 1, afterwards})
	code, said := builder(t, "build", "--progress=plain", "-t", p.address+"/resumes:v1", buildContext(t, dockerfile))
	hit, sent := p.counts()
	if code != 0 || hit != 2 {
		t.Fatalf("it exited with %d after %d faults: %s", code, hit, said)
	}
	t.Logf("%d faults, %d MiB sent for %d MiB", hit, sent>>20, blobSize>>20)
	if sent > blobSize+2<<20 {
		t.Errorf("%d bytes were sent", sent)
	}
	whole(t, address+"/resumes:v1")
}

// What stays wrong fails the build, with a reason, and leaves nothing that a reader could take for an image.
func TestPushFails(t *testing.T) {
	registry, dir := distribution(t), buildContext(t, dockerfile)
	for _, c := range []struct {
		name   string
		fault  fault
		reason string
	}{
		{"forbidden", fault{"POST", "/uploads/", 0, -1, status(http.StatusForbidden)}, "these credentials may not push there"},
		{"no-repository", fault{"POST", "/uploads/", 0, -1, status(http.StatusNotFound)}, "create it"},
		{"no-chunk", fault{"PATCH", "/uploads/", 0, -1, status(http.StatusInternalServerError)}, "500 Internal Server Error"},
		{"no-manifest", fault{"PUT", "/manifests/", 0, -1, status(http.StatusInternalServerError)}, "500 Internal Server Error"},
		{"no-second-child", fault{"PUT", "/manifests/", 1, -1, status(http.StatusForbidden)}, "403 Forbidden"},
		{"other-digest", fault{"PUT", "/manifests/", 0, -1, changed(func(h http.Header, body []byte) []byte {
			h.Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
			return body
		})}, "the registry has stored sha256:0000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t, registry, c.fault)
			ref := "/fails-" + c.name + ":v1"
			code, said := builder(t, "build", "--progress=plain", "--platform=linux/amd64,linux/arm64", "-t", p.address+ref, dir)
			if hit, _ := p.counts(); code != 1 || hit == 0 || !strings.Contains(said, c.reason) {
				t.Errorf("it exited with %d after %d faults, want %q: %s", code, hit, c.reason, said)
			}
			absent(t, registry+ref)
		})
	}
	t.Run("no-name", func(t *testing.T) {
		code, said := builder(t, "build", "--progress=plain", "-t", "registry.invalid/app:v1", dir)
		if code != 1 || !strings.Contains(said, "registry.invalid") {
			t.Errorf("it exited with %d: %s", code, said)
		}
	})
}

// A base image that comes damaged is never built upon; one that comes slowly or in pieces is.
func TestPullFaults(t *testing.T) {
	registry := distribution(t)
	toybox(t, registry+"/toybox:1")
	truncated := changed(func(_ http.Header, body []byte) []byte { return body[:len(body)/2] })
	flipped := changed(func(_ http.Header, body []byte) []byte {
		other := bytes.Clone(body)
		other[len(other)/2] ^= 1
		return other
	})
	for _, c := range []struct {
		name   string
		fault  fault
		reason string
	}{
		{"truncated-manifest", fault{"GET", "/manifests/", 0, 1, truncated}, ""},
		{"truncated-blob", fault{"GET", "/blobs/", 0, 2, truncated}, ""},
		{"reset-blob", fault{"GET", "/blobs/", 1, 2, reset}, ""},
		{"busy", fault{"GET", "/blobs/", 0, 2, status(http.StatusTooManyRequests, "Retry-After", "1")}, ""},
		{"burst", fault{"GET", "/manifests/", 0, 3, status(http.StatusBadGateway)}, ""},
		{"flipped-manifest", fault{"GET", "/manifests/", 0, -1, flipped}, "its digest is"},
		{"flipped-blob", fault{"GET", "/blobs/", 0, -1, flipped}, "sha256:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t, registry, c.fault)
			dir := t.TempDir()
			write(t, dir+"/Dockerfile", []byte("FROM "+p.address+"/toybox:1\nRUN echo "+c.name+" > /x\n"))
			ref := registry + "/pulled:" + c.name
			code, said := builder(t, "build", "--progress=plain", "-t", ref, dir)
			if hit, _ := p.counts(); hit == 0 || (code == 0) != (c.reason == "") || !strings.Contains(said, c.reason) {
				t.Fatalf("it exited with %d after %d faults, want %q: %s", code, hit, c.reason, said)
			}
			if c.reason == "" {
				whole(t, ref)
			} else {
				absent(t, ref)
			}
		})
	}
}

// Tokens that die in the middle of a push are replaced.
func TestTokenExpires(t *testing.T) {
	registry, dir := distribution(t), buildContext(t, dockerfile)
	p := newProxy(t, registry)
	var issued, left atomic.Int32
	inner := p.next
	guard := http.NewServeMux()
	guard.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
		issued.Add(1)
		left.Store(3)
		_, _ = w.Write([]byte(`{"token":"` + strings.Repeat("x", int(issued.Load())) + `","expires_in":3600}`))
	})
	guard.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+strings.Repeat("x", int(issued.Load())) || left.Add(-1) < 0 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+p.address+`/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		p.faults = append(p.faults, &fault{method, "/", 0, -1, func(_ *proxy, w http.ResponseWriter, r *http.Request) { guard.ServeHTTP(w, r) }})
	}
	code, said := builder(t, "build", "--progress=plain", "-t", p.address+"/token:v1", dir)
	if code != 0 {
		t.Fatalf("it exited with %d: %s", code, said)
	}
	if n := issued.Load(); n < 3 {
		t.Errorf("only %d tokens were needed", n)
	}
	whole(t, registry+"/token:v1")
}

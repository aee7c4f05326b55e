package registry

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// listing is a registry that keeps lists of referrers, as the specification wants it.
func listing(t *testing.T) http.Handler {
	t.Helper()
	next := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(true))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.Header().Set("OCI-Subject", "sha256:0")
		}
		next.ServeHTTP(w, r)
	})
}

// unlisting is a registry that does not.
func unlisting() http.Handler {
	return ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
}

// What refers to a manifest is found again, whether the registry keeps a list or not, and only what is new is
// added to one under a tag.
func TestReferrers(t *testing.T) {
	for name, h := range map[string]http.Handler{"tag": unlisting(), "list": listing(t)} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, h)
			p := newPusher(t, r, Config{})
			img := testImage(t)
			if err := pushImage(t.Context(), p, img, "v1"); err != nil {
				t.Fatal(err)
			}
			want := []v1.Hash{pushReferrer(t, p, img, "one"), pushReferrer(t, p, img, "two"), pushReferrer(t, p, img, "one")}[:2]
			digest, _ := img.Digest()
			got, err := p.to.client.Referrers(t.Context(), r.repo("app").Digest(digest.String()))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("got %d referrers, want %d", len(got), len(want))
			}
			for _, d := range got {
				if d.Digest != want[0] && d.Digest != want[1] || name == "tag" && d.ArtifactType != "text/x-test" {
					t.Errorf("got %+v", d)
				}
			}
			wantPushed(t, r, img, "v1")
		})
	}
}

func pushReferrer(t *testing.T, p *Pusher, subject v1.Image, text string) v1.Hash {
	t.Helper()
	config, content := static.NewLayer([]byte("{}"), "application/vnd.oci.empty.v1+json"), static.NewLayer([]byte(text), "text/plain")
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: "text/x-test"}
	for i, l := range []v1.Layer{config, content} {
		if err := p.Layer(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		digest, _ := l.Digest()
		size, _ := l.Size()
		media, _ := l.MediaType()
		d := v1.Descriptor{MediaType: media, Digest: digest, Size: size}
		if i == 0 {
			m.Config = d
		} else {
			m.Layers = append(m.Layers, d)
		}
	}
	digest, _ := subject.Digest()
	size, _ := subject.Size()
	m.Subject = &v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: size}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Referrer(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	return digestOf(raw)
}

func TestNoReferrers(t *testing.T) {
	r := newRegistry(t, nil)
	p := newPusher(t, r, Config{})
	got, err := p.to.client.Referrers(t.Context(), r.repo("app").Digest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"))
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/attest"
	"github.com/seed-298d225e/builder/exporter"
	"github.com/seed-298d225e/builder/registry"
)

// watched is a registry that counts what is asked of it.
type watched struct {
	http.Handler
	mu sync.Mutex
	// asked counts requests by path, now are those that are under way, and most is how many were so at once.
	asked     map[string]int
	now, most int
}

func (s *watched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.URL.Path]++
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	if strings.Contains(r.URL.Path, "/referrers/") {
		time.Sleep(5 * time.Millisecond) // so that others may come
	}
	s.Handler.ServeHTTP(w, r)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
}

// statement is a layer that attests a predicate.
func statement(kind, predicate string) mutate.Addendum {
	text := fmt.Sprintf(`{"predicateType":%q,"predicate":%s}`, kind, predicate)
	return mutate.Addendum{
		Layer:       static.NewLayer([]byte(text), exporter.StatementType),
		Annotations: map[string]string{exporter.AnnotationPredicate: kind},
	}
}

// attested is an image with the statements about it, as entries of an index.
func attested(t *testing.T, statements ...mutate.Addendum) []mutate.IndexAddendum {
	t.Helper()
	image, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	about, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), statements...)
	if err != nil {
		t.Fatal(err)
	}
	return []mutate.IndexAddendum{{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}}, {
		Add: about,
		Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{exporter.AnnotationReference: digest.String()},
		},
	}}
}

// serveWatched serves an index with some entries.
func serveWatched(t *testing.T, entries ...mutate.IndexAddendum) (*watched, *registry.Client, name.Reference) {
	t.Helper()
	h, err := registry.Handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &watched{Handler: h, asked: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), entries...)); err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.asked, s.most = map[string]int{}, 0
	return s, client, ref
}

// A statement is read by whom it is shown to, and once.
func TestInspectReadsWhatItShows(t *testing.T) {
	provenance := statement(attest.ProvenanceType, `{"buildDefinition":{}}`)
	bill := statement(attest.SPDXType, `{"packages":[{}]}`)
	s, client, ref := serveWatched(t, attested(t, provenance, bill)...)
	reads := func() (n [2]int) {
		for i, a := range []mutate.Addendum{provenance, bill} {
			digest, _ := a.Layer.Digest()
			n[i] = s.asked["/v2/app/blobs/"+digest.String()]
		}
		return n
	}
	found, err := inspect(t.Context(), client, ref)
	if err != nil || len(found.Images) != 1 || found.Images[0].Platform != "unknown" || len(found.Images[0].Attestations) != 2 || reads() != [2]int{} {
		t.Fatalf("got %+v, %v, read %v", found, err, reads())
	}
	var out bytes.Buffer
	if err := printPredicates(t.Context(), &out, client, ref, provenanceKind); err != nil || reads() != [2]int{1, 0} {
		t.Errorf("--provenance: %v, read %v", err, reads())
	}
	if want := "{\n  \"buildDefinition\": {}\n}\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if err := found.summarize(t.Context(), client, ref.Context()); err != nil || reads() != [2]int{2, 1} {
		t.Errorf("in short: %v, read %v", err, reads())
	}
	if a := found.Images[0].Attestations; a[0].Provenance == nil || a[1].Packages == nil || *a[1].Packages != 1 {
		t.Errorf("got %+v", a)
	}
}

// What is missing is named, and how to get it.
func TestInspectMissing(t *testing.T) {
	_, client, ref := serveWatched(t, attested(t, statement(attest.ProvenanceType, `{}`))...)
	err := printPredicates(t.Context(), io.Discard, client, ref, billKind)
	if want := ref.String() + " has no SBOM: an image gets one when it is built with --sbom"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, client, ref = serveWatched(t, attested(t, statement(attest.SPDXType, `{}`))...)
	err = printPredicates(t.Context(), io.Discard, client, ref, provenanceKind)
	if want := ref.String() + " has no provenance: an image gets one when it is built with --provenance"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// An index of many images does not take as many connections.
func TestInspectMany(t *testing.T) {
	var entries []mutate.IndexAddendum
	for range 20 {
		entries = append(entries, attested(t)[0])
	}
	s, client, ref := serveWatched(t, entries...)
	found, err := inspect(t.Context(), client, ref)
	if err != nil || len(found.Images) != 20 {
		t.Fatalf("got %+v, %v", found, err)
	}
	if s.most > inspectedAtOnce {
		t.Errorf("%d requests at once", s.most)
	}
}

// What is printed is as json.Indent has it.
func TestPrintIndented(t *testing.T) {
	for _, text := range []string{
		`null`, `-1.5e3`, `"a \\\" {b}, [c]: \\"`, `{}`, `[ ]`, `[[],{}]`, "{\"a\" : [1, true,\n{\"b\":{}, \"c\\\\\":\"\"}] ,\t\"d\": null}",
		"[" + strings.Repeat(`{"key":"value"},`, 10_000) + "0]",
	} {
		var got, want bytes.Buffer
		if err := json.Indent(&want, []byte(text), "", "  "); err != nil {
			t.Fatal(err)
		}
		if err := printIndented(t.Context(), &got, []byte(text)); err != nil || got.String() != want.String()+"\n" {
			t.Errorf("%.50s: %v, got %.200q\nwant %.200q", text, err, got.String(), want.String())
		}
	}
}

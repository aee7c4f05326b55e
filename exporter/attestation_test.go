package exporter

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// attested returns results of the same image: with nothing attested of it, and with two statements.
func attested(t *testing.T, o Attestations) (plain, with Result) {
	t.Helper()
	b := Built{Image: testImage(t), Platform: amd64}
	plain, err := NewResult([]Built{b}, IndexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.Statements = []Statement{
		{PredicateType: "https://slsa.dev/provenance/v1", Raw: []byte(`{"p":1}`), File: "provenance.json"},
		{PredicateType: "https://spdx.dev/Document", Raw: []byte(`{"s":1}`), File: "sbom.spdx.json"},
	}
	with, err = NewResult([]Built{b}, IndexOptions{Attestations: o})
	if err != nil {
		t.Fatal(err)
	}
	return plain, with
}

// An image is the same with and without attestations, and each of these can be found by it.
func TestReferrersLeaveTheImageAlone(t *testing.T) {
	plain, with := attested(t, AsReferrers)
	host := testRegistry(t)
	l := &pushLog{}
	w, err := newRegistry(t, RegistryOptions{Names: []string{host + "/app:v1"}}, l).Write(t.Context(), with)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := plain.Images[0].Image.Digest()
	if w.Descriptor.Digest != want {
		t.Errorf("got %s, want %s", w.Descriptor.Digest, want)
	}
	if last := l.done[len(l.done)-1]; last != "app manifest v1" {
		t.Errorf("what came last was %q and not the tag", last)
	}
	for i, b := range with.referrers {
		digest, _ := b.Image.Digest()
		repo, _ := name.NewRepository(host + "/app")
		got, err := remote.Image(repo.Digest(digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		m, _ := got.Manifest()
		s := with.Images[0].Statements[i]
		if m.Subject.Digest != want || m.ArtifactType != string(StatementType) || m.Layers[0].Annotations[AnnotationPredicate] != s.PredicateType {
			t.Errorf("got %s", asJSON(m))
		}
		layers, _ := got.Layers()
		r, err := layers[0].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(r); string(text) != string(s.Raw) {
			t.Errorf("got %q", text)
		}
	}
}

// In an index the attestations stand as BuildKit has them: one manifest, for no platform, that is found by
// annotations.
func TestAttestationsInIndex(t *testing.T) {
	_, with := attested(t, InIndex)
	host := testRegistry(t)
	if _, err := newRegistry(t, RegistryOptions{Names: []string{host + "/app:v1"}}, &pushLog{}).Write(t.Context(), with); err != nil {
		t.Fatal(err)
	}
	x := pulledIndex(t, host+"/app:v1")
	m, _ := x.IndexManifest()
	if len(m.Manifests) != 2 {
		t.Fatalf("got %s", asJSON(m))
	}
	image, a := m.Manifests[0], m.Manifests[1]
	if a.Platform.String() != "unknown/unknown" || a.Annotations[annotationType] != "attestation-manifest" || a.Annotations[AnnotationReference] != image.Digest.String() {
		t.Errorf("got %s", asJSON(a))
	}
	got, err := x.Image(a.Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, _ := got.Manifest()
	if len(manifest.Layers) != 2 || manifest.Subject.Digest != image.Digest || manifest.ArtifactType != attestationType {
		t.Errorf("got %s", asJSON(manifest))
	}
	first, err := x.Image(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(first); err != nil {
		t.Error(err)
	}
}

// A layout lists attestations beside the image, and files come with them.
func TestAttestationsInFiles(t *testing.T) {
	_, with := attested(t, AsReferrers)
	dir := t.TempDir()
	for range 2 { // writing it again adds nothing
		if _, err := (Layout{Dir: dir, Names: []string{"app"}}).Write(t.Context(), with); err != nil {
			t.Fatal(err)
		}
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, "index.json")), &index); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, d := range index.Manifests {
		kinds = append(kinds, d.ArtifactType)
	}
	slices.Sort(kinds)
	if got := strings.Join(kinds, ","); got != ","+string(StatementType)+","+string(StatementType) {
		t.Errorf("got %q", got)
	}

	out := t.TempDir()
	if _, err := (Local{Dir: out}).Write(t.Context(), with); err != nil {
		t.Fatal(err)
	}
	if got := string(readFile(t, filepath.Join(out, "provenance.json"))); got != `{"p":1}` {
		t.Errorf("got %q", got)
	}
	w, err := (Archive{Path: filepath.Join(out, "docker.tar"), Docker: true}).Write(t.Context(), with)
	if err != nil || len(w.Notes) != 1 {
		t.Errorf("got %+v, %v: an archive for docker has no attestations and must say so", w, err)
	}
}

// Every manifest is signed in every repository before a tag changes.
func TestSign(t *testing.T) {
	host, l := testRegistry(t), &pushLog{}
	var signed []string
	o := RegistryOptions{Names: []string{host + "/app:v1"}, Sign: func(_ context.Context, r name.Repository, h v1.Hash) (v1.Image, string, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		signed = append(signed, r.RepositoryStr()+" "+h.String())
		return testImage(t), "sha256-" + h.Hex + ".sig", nil
	}}
	r := double(t)
	if _, err := newRegistry(t, o, l).Write(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if len(signed) != 3 {
		t.Errorf("signed %q, want the index and both images", signed)
	}
	if last := l.done[len(l.done)-1]; last != "app manifest v1" {
		t.Errorf("what came last was %q and not the tag", last)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

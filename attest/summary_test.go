package attest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is told in full can be told in short.
func TestSummarize(t *testing.T) {
	b := testBuild()
	raw, err := Provenance(b, Max)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Summarize(ProvenanceType, raw)
	if err != nil {
		t.Fatal(err)
	}
	want := &Summary{
		Builder: BuilderID, Type: BuildType, Source: b.Source, Revision: b.Revision, Target: "final", Args: b.Args,
		Materials: []Material{{URI: "https://a"}, {URI: "pkg:docker/b"}}, Started: b.Started, Finished: b.Finished,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The form is that of BuildKit's documentation.
func TestSummarizeOld(t *testing.T) {
	got, err := Summarize("https://slsa.dev/provenance/v0.2", []byte(`{
		"builder": {"id": "https://ci.example.com"}, "buildType": "https://mobyproject.org/buildkit@v1",
		"materials": [{"uri": "pkg:docker/alpine@3.20", "digest": {"sha256": "00ff"}}],
		"invocation": {"parameters": {"frontend": "dockerfile.v0", "args": {"build-arg:V": "1", "target": "app"}}, "environment": {"platform": "linux/amd64"}},
		"metadata": {"buildInvocationID": "x", "https://mobyproject.org/buildkit@v1#metadata": {"vcs": {"revision": "abc", "source": "https://example.com/app.git"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Summary{
		Builder: "https://ci.example.com", Type: "https://mobyproject.org/buildkit@v1", Source: "https://example.com/app.git", Revision: "abc",
		Target: "app", Args: map[string]string{"V": "1"},
		Materials: []Material{{URI: "pkg:docker/alpine@3.20", Digest: map[string]string{"sha256": "00ff"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSummarizeForeign(t *testing.T) {
	if _, err := Summarize("https://example.com/other", []byte(`{}`)); err == nil || IsProvenance("https://example.com/other") {
		t.Error("another predicate is taken for provenance")
	}
	if _, err := Summarize(ProvenanceType, []byte(`{"buildDefinition": 1}`)); err == nil {
		t.Error("what is no provenance is read")
	}
}

func TestCountPackages(t *testing.T) {
	got, err := CountPackages([]byte(`{"packages": [{"name": "app", "primaryPackagePurpose": "CONTAINER"},
		{"name": "debian", "primaryPackagePurpose": "OPERATING-SYSTEM"}, {"name": "libc6"}, {"name": "tzdata", "primaryPackagePurpose": "LIBRARY"}]}`))
	if err != nil || got != 2 {
		t.Errorf("got %d, %v", got, err)
	}
}

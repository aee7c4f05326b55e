package attest

import (
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func testBuild() Build {
	now := time.Unix(1700000000, 0).UTC()
	return Build{
		BuilderID: BuilderID, Version: "v1", Config: ConfigSource{Path: "Dockerfile"}, Target: "final",
		Args: map[string]string{"VERSION": "1.2.3"}, Labels: map[string]string{"owner": "team"}, Secrets: []string{"npm"},
		BuilderPlatform: "linux/amd64", TargetPlatform: "linux/arm64", Source: "https://example.com/app.git", Revision: "abc",
		Materials: []Material{{URI: "pkg:docker/b"}, {URI: "https://a"}, {URI: "https://a"}},
		Filename:  "Dockerfile", Dockerfile: []byte("FROM secretive-name"), Started: &now, Finished: &now, ID: "1",
	}
}

// The least that is told has no value and no name that was given to the build.
func TestProvenanceModes(t *testing.T) {
	for mode, given := range map[Mode]bool{Min: false, Max: true} {
		p, err := Provenance(testBuild(), mode)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"1.2.3", "owner", "npm", "RlJPTSBz"} {
			if got := strings.Contains(string(p), text); got != given {
				t.Errorf("mode %s: %q is there: %v, want %v\n%s", mode, text, got, given, p)
			}
		}
		for _, text := range []string{"final", "https://example.com/app.git", `"abc"`, "linux/arm64", "2023-11-14T22:13:20Z"} {
			if !strings.Contains(string(p), text) {
				t.Errorf("mode %s: %q is not there", mode, text)
			}
		}
		if strings.Count(string(p), "https://a") != 1 || strings.Index(string(p), "https://a") > strings.Index(string(p), "pkg:docker/b") {
			t.Errorf("mode %s: the materials are not in order\n%s", mode, p)
		}
	}
}

func TestStatement(t *testing.T) {
	digest := v1.Hash{Algorithm: "sha256", Hex: "00ff"}
	raw, err := Statement(SPDXType, []byte(`{"x":1}`), Subjects(digest, []string{"a", "b"}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://spdx.dev/Document",` +
		`"subject":[{"name":"a","digest":{"sha256":"00ff"}},{"name":"b","digest":{"sha256":"00ff"}}],"predicate":{"x":1}}`
	if string(raw) != want {
		t.Errorf("got %s\nwant %s", raw, want)
	}
	if got := Subjects(digest, nil); len(got) != 1 || got[0].Name != "_" {
		t.Errorf("got %v", got)
	}
}

func TestImageURL(t *testing.T) {
	digest := "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	for ref, want := range map[string]string{
		"alpine":                          "pkg:docker/alpine@latest?platform=linux%2Farm%2Fv7",
		"docker.io/library/alpine:3.20":   "pkg:docker/alpine@3.20?platform=linux%2Farm%2Fv7",
		"registry.example.com:5000/a/b:c": "pkg:docker/registry.example.com:5000/a/b@c?platform=linux%2Farm%2Fv7",
		"alpine@" + digest:                "pkg:docker/alpine?digest=sha256%3A" + digest[7:] + "&platform=linux%2Farm%2Fv7",
	} {
		if got, err := ImageURL(ref, "linux/arm/v7"); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", ref, got, err, want)
		}
	}
	if _, err := ImageURL("not a name", ""); err == nil {
		t.Error("what is no name has a URL")
	}
}

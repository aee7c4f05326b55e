//go:build e2e

package push

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// tags are all tags of a repository.
func tags(t *testing.T, repo string) string {
	t.Helper()
	r, err := name.NewRepository(repo)
	if err != nil {
		t.Fatal(err)
	}
	list, err := remote.List(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " ")
}

// What is attested is found in a registry that lists referrers, and in one that needs a tag for the list.
func TestReferrers(t *testing.T) {
	dir := buildContext(t, dockerfile)
	for _, c := range []struct {
		registry string
		tagged   bool
	}{{inMemory(t), false}, {distribution(t), true}} {
		ref := c.registry + "/app:v1"
		code, said := builder(t, "build", "--progress=plain", "--platform=linux/amd64", "--provenance", "--sbom", "-t", ref, dir)
		if code != 0 {
			t.Fatalf("tagged=%t: it exited with %d: %s", c.tagged, code, said)
		}
		whole(t, ref)
		if all := tags(t, c.registry+"/app"); strings.Contains(all, "sha256-") != c.tagged {
			t.Errorf("tagged=%t: the tags are %s", c.tagged, all)
		}
		code, said = builder(t, "inspect", ref)
		for _, want := range []string{"provenance  https://slsa.dev/provenance/v1", "sbom        0 packages: https://spdx.dev/Document"} {
			if code != 0 || !strings.Contains(said, want) {
				t.Errorf("tagged=%t: inspect exited with %d and does not say %q: %s", c.tagged, code, want, said)
			}
		}
	}
}

// A tag that cannot be moved can be pushed again with what it stands for, and with nothing else.
func TestImmutableTags(t *testing.T) {
	registry, dir := inMemory(t, "--immutable"), buildContext(t, dockerfile)
	ref := registry + "/app:v1"
	for range 2 {
		code, said := builder(t, "build", "--progress=plain", "--platform=linux/amd64,linux/arm64", "-t", ref, dir)
		if code != 0 {
			t.Fatalf("it exited with %d: %s", code, said)
		}
	}
	whole(t, ref)
	before := run(t, program("crane"), "digest", ref)
	code, said := builder(t, "build", "--progress=plain", "--platform=linux/amd64,linux/arm64", "--label", "other=true", "-t", ref, dir)
	if code != 1 || !strings.Contains(said, "pushing tag v1 to "+registry+"/app") {
		t.Errorf("another image exited with %d: %s", code, said)
	}
	if after := run(t, program("crane"), "digest", ref); after != before {
		t.Errorf("the tag has moved from %s to %s", before, after)
	}
}

// A layer that goes to two repositories of the registry is sent to one of them and mounted in the other, and so it is in
// another build.
func TestMounts(t *testing.T) {
	p, dir := newProxy(t, inMemory(t)), buildContext(t, dockerfile)
	for _, args := range [][]string{
		{"-t", p.address + "/first:v1", "-t", p.address + "/second:v1"},
		{"-t", p.address + "/third:v1"},
	} {
		code, said := builder(t, append(append([]string{"build", "--progress=plain"}, args...), dir)...)
		if code != 0 {
			t.Fatalf("%q: it exited with %d: %s", args, code, said)
		}
	}
	if _, sent := p.counts(); sent > blobSize+1<<20 {
		t.Errorf("%d bytes were sent", sent)
	}
	for _, repo := range []string{"/first:v1", "/second:v1", "/third:v1"} {
		whole(t, p.address+repo)
	}
}

// An upload that is cut off goes on, or begins anew, and is whole in the end.
func TestInMemorySurvives(t *testing.T) {
	registry, dir := inMemory(t), buildContext(t, dockerfile)
	for _, c := range []struct {
		name  string
		fault fault
		more  int64
	}{
		{"reset-chunk", fault{"PATCH", "/uploads/", 0, 1, resetAfter(20 << 20)}, 20 << 20},
		{"reset-after-chunk", fault{"PATCH", "/uploads/", 0, 1, afterwards}, 32 << 20},
		{"reset-after-complete", fault{"PUT", "/uploads/", 0, 1, afterwards}, 1 << 20},
		{"reset-after-manifest", fault{"PUT", "/manifests/", 0, 1, afterwards}, 1 << 20},
		{"burst-chunk", fault{"PATCH", "/uploads/", 0, 2, status(http.StatusServiceUnavailable)}, 64 << 20},
	} {
		t.Run(c.name, func(t *testing.T) { survives(t, registry, dir, "/survives-"+c.name+":v1", c.fault, c.more) })
	}
}

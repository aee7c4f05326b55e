//go:build e2e

package push

import (
	"path/filepath"
	"strings"
	"testing"
)

// Images in every compression are whole in three registries that are not ours, pushed to all at once, and other
// programs read them.
func TestInterop(t *testing.T) {
	a, b, c := distribution(t), independent(t), inMemory(t)
	toybox(t, a+"/toybox:1")
	dir := buildContext(t, "FROM "+a+"/toybox:1\nCOPY big /big\nRUN echo hello > /etc/motd && ln /etc/motd /motd && rm -r /home\nCMD [\"cat\", \"/motd\"]\n")
	for _, compression := range []string{"gzip", "zstd", "estargz", "uncompressed"} {
		t.Run(compression, func(t *testing.T) {
			refs := []string{a + "/app:" + compression, b + "/team/app:" + compression, c + "/app:" + compression}
			code, said := builder(t, "build", "--progress=plain", "--platform=linux/amd64", "-o",
				`type=registry,"name=`+strings.Join(refs, ",")+`",compression=`+compression, dir)
			if code != 0 {
				t.Fatalf("it exited with %d: %s", code, said)
			}
			var digests []string
			for _, ref := range refs {
				digests = append(digests, run(t, program("crane"), "digest", ref))
				if compression == "gzip" || compression == "estargz" {
					whole(t, ref) // crane cannot look into the others
				}
				to := filepath.Join(t.TempDir(), "layout")
				run(t, "skopeo", "copy", "--src-tls-verify=false", "docker://"+ref, "oci:"+to+":x")
			}
			if digests[0] != digests[1] || digests[0] != digests[2] {
				t.Errorf("the digests are %q", digests)
			}
		})
	}
	code, said := builder(t, "build", "--progress=plain", "--platform=linux/amd64,linux/arm64", "-t", a+"/both:1", "-t", a+"/both:2", "-t", b+"/both:1", "-t", c+"/both:1", dir)
	if code != 0 {
		t.Fatalf("it exited with %d: %s", code, said)
	}
	for _, ref := range []string{a + "/both:1", a + "/both:2", b + "/both:1", c + "/both:1"} {
		whole(t, ref)
	}
	code, said = builder(t, "verify", "--progress=plain", a+"/both:1", dir)
	if code != 1 || !strings.Contains(said, "the image is another than what is built") {
		t.Errorf("an image that was not built to be reproducible was verified: %d: %s", code, said)
	}
}

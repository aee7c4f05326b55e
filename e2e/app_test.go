//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// token is the secret of the build.
const token = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"

// app is the image of testdata/app: Debian packages with maintainer scripts, a Go program, a user of its own.
type app struct {
	registry, image, apt string
}

// The whole way, once for each platform: packages, a program, users, a secret. Then what others make of it.
func TestDebian(t *testing.T) {
	a := &app{registry: startDistribution(t), apt: aptConfig(t)}
	a.image = a.registry + "/app:1"
	pushDebian(t, a.apt, a.registry+"/debian")
	before := hostState(t)

	log := a.build(t, a.arguments(t)...)
	t.Logf("%s", lastLines(log, 7))
	if strings.Contains(log, token) {
		t.Errorf("the secret was printed:\n%s", log)
	}
	sameHost(t, before)
	index := a.index(t)
	if err := validate.Index(index); err != nil { // every digest, size and type, as crane validate does
		t.Error(err)
	}
	for _, architecture := range architectures() {
		t.Run(architecture, func(t *testing.T) { a.check(t, index, architecture) })
	}
	t.Run("again", a.again)
	t.Run("skopeo", a.skopeo)
	t.Run("podman", a.podman)
	t.Run("containerd", a.containerd)
	t.Run("interrupted", func(t *testing.T) { a.interrupted(t, unix.SIGINT, 130) })
	t.Run("killed", func(t *testing.T) { a.interrupted(t, unix.SIGKILL, -1) })
	sameHost(t, before)
}

// arguments are those of the build for both platforms.
func (a *app) arguments(t *testing.T) []string {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "token")
	writeFile(t, secret, token+"\n")
	return []string{
		"build", "--progress", "plain", "--platform", "linux/amd64,linux/arm64",
		"--build-arg", "BASE=" + a.registry + "/debian",
		"--build-context", "apt=" + a.apt, "--build-context", "goroot=" + goroot(testuser.Dir()),
		"--secret", "id=token,src=" + secret, "-t", a.image, "testdata/app",
	}
}

// build runs builder and returns what it says.
func (a *app) build(t *testing.T, args ...string) string {
	t.Helper()
	out, err := a.command(t.Context(), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("builder %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (a *app) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program(testuser.Dir()), args...)
	cmd.Env = append(os.Environ(), "BUILDER_ROOT="+filepath.Join(testuser.Dir(), "stores", "debian"), "NO_COLOR=1")
	return cmd
}

// index returns what was pushed.
func (a *app) index(t *testing.T) v1.ImageIndex {
	t.Helper()
	ref, err := name.ParseReference(a.image)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// check checks the image of a platform.
func (a *app) check(t *testing.T, index v1.ImageIndex, architecture string) {
	image := imageOf(t, index, architecture)
	files := filesOf(t, image)
	machine := map[string]string{"amd64": "x86_64\n", "arm64": "aarch64\n"}[architecture]
	for path, want := range map[string]string{
		"machine": machine, "token-size": "41\n", "home/app/whoami": "app\n", "home/app/said": "hello from " + architecture + "\n",
	} {
		if got := files[path].text; got != want {
			t.Errorf("/%s is %q, want %q", path, got, want)
		}
	}
	if h := files["usr/bin/sudo"].header; h == nil || h.Mode != 0o4755 || h.Uid != 0 {
		t.Errorf("sudo is %+v, want it to be set-user-ID", h)
	}
	// VFS_CAP_REVISION_2 with the effective bit, then permitted: bit 13 is CAP_NET_RAW; see capabilities(7).
	want := "\x01\x00\x00\x02\x00\x20\x00\x00" + strings.Repeat("\x00", 12)
	if h := files["usr/bin/ping"].header; h == nil || h.PAXRecords["SCHILY.xattr.security.capability"] != want {
		t.Errorf("ping is %+v, want it to have a capability", h)
	}
	if !regexp.MustCompile(`(?m)^tcpdump:x:\d+:`).MatchString(files["etc/passwd"].text) {
		t.Errorf("there is no system user tcpdump in\n%s", files["etc/passwd"].text)
	}
	uid := regexp.MustCompile(`(?m)^app:x:(\d+):`).FindStringSubmatch(files["etc/passwd"].text)
	if h := files["usr/local/bin/app"].header; uid == nil || h == nil || h.Uid != 1000 || uid[1] != "1000" {
		t.Errorf("the program is %+v, want it to belong to app, whose id is %q", h, uid)
	}
	checkSecret(t, image)
}

// checkSecret makes sure that the secret is in no layer and neither in the config nor in the history.
func checkSecret(t *testing.T, image v1.Image) {
	t.Helper()
	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(config, []byte(token)) {
		t.Errorf("the secret is in the config:\n%s", config)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range layers[1:] { // the first is the base's
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(token)) {
			t.Errorf("the secret is in layer %d", i+1)
		}
	}
}

// imageOf returns the image for an architecture.
func imageOf(t *testing.T, index v1.ImageIndex, architecture string) v1.Image {
	t.Helper()
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Manifests {
		if d.Platform != nil && d.Platform.Architecture == architecture {
			image, err := index.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return image
		}
	}
	t.Fatalf("the index has no image for %s", architecture)
	return nil
}

// entry is a file of an image; the text is kept of small ones only.
type entry struct {
	header *tar.Header
	text   string
}

// filesOf returns all files of an image by their paths.
func filesOf(t *testing.T, image v1.Image) map[string]entry {
	t.Helper()
	const small = 1 << 16
	files := map[string]entry{}
	flat := mutate.Extract(image)
	defer flat.Close()
	for r := tar.NewReader(flat); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		f := entry{header: h}
		if h.Size < small {
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			f.text = string(text)
		}
		files[strings.TrimPrefix(h.Name, "./")] = f
	}
}

// again builds the same again: no step runs, and the index is the same.
func (a *app) again(t *testing.T) {
	before, err := a.index(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	log := a.build(t, a.arguments(t)...)
	t.Logf("%s", lastLines(log, 7))
	if !strings.Contains(log, ": 0 steps run, ") {
		t.Errorf("steps were run again:\n%s", log)
	}
	after, err := a.index(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Errorf("the index was %s and now is %s", before, after)
	}
}

// skopeo reads the index and copies it with all images.
func (a *app) skopeo(t *testing.T) {
	raw := output(t, "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+a.image)
	var m v1.IndexManifest
	if err := json.Unmarshal([]byte(raw), &m); err != nil || len(m.Manifests) != len(architectures()) {
		t.Errorf("skopeo sees %s, %v", raw, err)
	}
	t.Logf("%s", raw)
	dir := "oci:" + filepath.Join(t.TempDir(), "copy") + ":1"
	output(t, "skopeo", "copy", "--all", "--src-tls-verify=false", "--insecure-policy", "docker://"+a.image, dir)
	if got := output(t, "skopeo", "inspect", "--raw", dir); got != raw {
		t.Errorf("after the copy the index is %s", got)
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

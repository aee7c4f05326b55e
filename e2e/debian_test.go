//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// suite is the release of Debian that images are built on.
const suite = "bookworm"

// architectures are those that images are built for. This machine is of one of them.
func architectures() []string { return []string{"amd64", "arm64"} }

// prepareMore prepares what the tests with this tag need.
func prepareMore(ctx context.Context, dir string) error {
	if err := prepareDebian(ctx, dir); err != nil {
		return err
	}
	if err := prepareRoot(ctx, dir); err != nil {
		return err
	}
	return prepareAnswers(ctx, dir)
}

// prepareDebian copies the Go distribution to where the tests' user can read it.
func prepareDebian(ctx context.Context, dir string) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("finding the Go distribution: %w", err)
	}
	from := strings.TrimSpace(string(out))
	args := []string{"-r"}
	for _, part := range []string{"bin", "pkg", "src", "go.env", "VERSION"} {
		args = append(args, filepath.Join(from, part))
	}
	if err := os.Mkdir(goroot(dir), 0o755); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "cp", append(args, goroot(dir))...).CombinedOutput(); err != nil {
		return fmt.Errorf("copying the Go distribution: %w: %s", err, out)
	}
	return nil
}

func goroot(dir string) string { return filepath.Join(dir, "goroot") }

// aptConfig makes a directory with what apt needs to reach the mirror that this machine uses: sources.list and
// apt.conf.
func aptConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	sources := output(t, "apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
		"Identifier: Packages", "Origin: Debian", "Codename: "+suite)
	for _, more := range []string{"-updates", "-security"} {
		sources += output(t, "apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
			"Identifier: Packages", "Origin: Debian", "Codename: "+suite+more)
	}
	if sources == "" {
		sources = "deb http://deb.debian.org/debian " + suite + " main\n"
	}
	writeFile(t, filepath.Join(dir, "sources.list"), sources)
	writeFile(t, filepath.Join(dir, "apt.conf"), output(t, "apt-config", "dump", "Acquire::http", "Acquire::https"))
	return dir
}

// keptDir is where that is kept between runs which takes long to make.
func keptDir() string {
	if dir := os.Getenv("BUILDER_E2E_CACHE"); dir != "" {
		return dir
	}
	return fmt.Sprintf("/var/tmp/builder-e2e-%d", os.Getuid())
}

// debian returns an archive of Debian's file system. It is kept between runs, as making one takes minutes.
func debian(t *testing.T, apt, architecture string) string {
	t.Helper()
	kept := keptDir()
	path := filepath.Join(kept, suite+"-"+architecture+".tar")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	sources, err := os.ReadFile(filepath.Join(apt, "sources.list"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--map-auto", "--mount", "--pid", "--fork", "--mount-proc",
		"sh", "testdata/debian.sh", architecture, suite, path+".new.tar", filepath.Join(apt, "apt.conf"))
	cmd.Stdin = bytes.NewReader(sources)
	cmd.Env = os.Environ()
	if bytes.Contains(sources, []byte("https://")) {
		cmd.Env = append(cmd.Env, "INCLUDE=ca-certificates")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making a Debian file system: %v\n%s", err, out)
	}
	if err := os.Rename(path+".new.tar", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// pushDebian pushes an index with Debian for all architectures.
func pushDebian(t *testing.T, apt, to string) {
	t.Helper()
	ref, err := name.ParseReference(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, debianIndex(t, apt), remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// debianIndex returns an index with Debian for all architectures.
func debianIndex(t *testing.T, apt string) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, a := range architectures() {
		l, err := tarball.LayerFromFile(debian(t, apt, a), tarball.WithMediaType(types.OCILayer))
		if err != nil {
			t.Fatal(err)
		}
		p := v1.Platform{OS: "linux", Architecture: a}
		image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{
			OS: p.OS, Architecture: p.Architecture, RootFS: v1.RootFS{Type: "layers"},
			Config: v1.Config{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, Cmd: []string{"bash"}},
		})
		if err == nil {
			image, err = mutate.Append(image, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "mmdebstrap"}})
		}
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &p}})
	}
	return index
}

// output returns what a program prints, which must succeed.
func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, said.Bytes())
	}
	return string(out)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

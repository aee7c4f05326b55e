//go:build e2e

package push

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/internal/testuser"
	"github.com/seed-298d225e/builder/internal/toyimage"
)

func TestMain(m *testing.M) { os.Exit(testuser.Run(m, prepare)) }

// programs are built before the tests run: by name, the module that they are of and their package in it.
func programs() map[string][2]string {
	return map[string][2]string{
		"builder":     {".", "github.com/seed-298d225e/builder/cmd/builder"},
		"crane":       {".", "github.com/google/go-containerregistry/cmd/crane"},
		"ociregistry": {"../../testdata/ociregistry", "."},
	}
}

func prepare(ctx context.Context, dir string) error {
	for program, source := range programs() {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, "bin", program), source[1]) //nolint:gosec // one of ours
		cmd.Dir = source[0]
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w: %s", program, err, out)
		}
	}
	x, err := toyimage.Index(ctx, v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64"})
	if err != nil {
		return err
	}
	path, err := layout.Write(filepath.Join(dir, "toybox"), empty.Index)
	if err != nil {
		return err
	}
	return path.AppendIndex(x)
}

func program(name string) string { return filepath.Join(testuser.Dir(), "bin", name) }

// serve starts a registry process and returns its address when it answers. It ends with the test.
func serve(t *testing.T, address string, command ...string) string {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx,gosec // it is killed at the end
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		r, err := http.Get("http://" + address + "/v2/") //nolint:noctx // it is on this machine
		if err == nil {
			r.Body.Close()
			return address
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer: %v\n%s", command[0], err, said.Bytes())
		}
	}
}

// distribution starts Debian's docker-registry.
func distribution(t *testing.T) string {
	t.Helper()
	dir, address := t.TempDir(), free(t)
	config := filepath.Join(dir, "config.yml")
	write(t, config, fmt.Appendf(nil, "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n", dir, address))
	return serve(t, address, "docker-registry", "serve", config)
}

// independent starts the registry of go-containerregistry.
func independent(t *testing.T) string {
	t.Helper()
	address := free(t)
	return serve(t, address, program("crane"), "registry", "serve", "--address", address, "--disk", t.TempDir())
}

// inMemory starts the registry of CUE, which keeps nothing on disk, with flags.
func inMemory(t *testing.T, flags ...string) string {
	t.Helper()
	address := free(t)
	return serve(t, address, append([]string{program("ociregistry"), "--address", address}, flags...)...)
}

// free is an address that nothing listens on now.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// toybox pushes the image that is built on.
func toybox(t *testing.T, ref string) {
	t.Helper()
	all, err := layout.ImageIndexFromPath(filepath.Join(testuser.Dir(), "toybox"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	x, err := all.ImageIndex(entries.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, x); err != nil {
		t.Fatal(err)
	}
}

// blobSize is larger than one chunk of an upload.
const blobSize = 40 << 20

// buildContext is a directory with a Dockerfile and a file that cannot be compressed.
func buildContext(t *testing.T, dockerfile string) string {
	t.Helper()
	dir := t.TempDir()
	content := make([]byte, blobSize)
	_, _ = rand.Read(content) // never fails
	write(t, filepath.Join(dir, "big"), content)
	write(t, filepath.Join(dir, "Dockerfile"), []byte(dockerfile))
	return dir
}

// builder runs the program on a store of its own, and returns its exit code and what it said.
func builder(t *testing.T, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program("builder"), args...) //nolint:gosec // it is the one under test
	cmd.Env = append(cmd.Environ(), "BUILDER_ROOT="+filepath.Join(testuser.Dir(), "stores", t.Name()), "NO_COLOR=1")
	if err := os.MkdirAll(filepath.Join(testuser.Dir(), "stores"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// run runs another program, which must succeed, and returns what it said.
func run(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput() //nolint:gosec // known programs
	if err != nil {
		t.Errorf("%q: %v: %s", command, err, out)
	}
	return string(out)
}

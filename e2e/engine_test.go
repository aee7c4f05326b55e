//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// podman pulls the image and runs its program. It needs no daemon and no root either.
func (a *app) podman(t *testing.T) {
	dir := privateDir(t, "podman")
	podman := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "podman", append([]string{
			"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs",
			"--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc",
		}, args...)...)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "HOME="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("podman %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	defer podman("system", "migrate") // ends a process that podman leaves behind
	podman("pull", "--tls-verify=false", "--quiet", a.image)
	got := podman("run", "--rm", "--network=none", a.image)
	if want := "hello from " + runtime.GOARCH; !strings.Contains(got, want) {
		t.Errorf("podman ran it and got %q, want %q", got, want)
	}
}

// containerd imports the image from an archive, with all its platforms.
func (a *app) containerd(t *testing.T) {
	dir := privateDir(t, "containerd")
	archive := filepath.Join(dir, "app.tar")
	a.build(t, append(a.arguments(t), "--output", "type=oci,dest="+archive)...)
	// In a user namespace, as containerd wants to be root.
	out, err := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--map-auto", "--mount", "--pid", "--fork",
		"--kill-child", "--mount-proc", "sh", "testdata/containerd.sh", dir, archive).CombinedOutput()
	if err != nil {
		t.Fatalf("ctr: %v\n%s", err, out)
	}
	for _, want := range []string{"app:1", "application/vnd.oci.image.index.v1+json", "linux/amd64,linux/arm64", "hello from " + runtime.GOARCH} {
		if !strings.Contains(string(out), want) {
			t.Errorf("ctr says\n%s, which lacks %s", out, want)
		}
	}
}

// privateDir makes a directory that can hold files of subordinate users, which t.TempDir could not remove.
func privateDir(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(testuser.Dir(), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

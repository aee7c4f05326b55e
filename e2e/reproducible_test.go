//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// reproducibles are Dockerfiles that have little in common.
func reproducibles() map[string]string {
	return map[string]string{
		"copy":      "FROM scratch\nCOPY a.txt /\nCOPY dir /dir/\n",
		"run":       "FROM base\nRUN mkdir -p /x/y && echo hello > /x/y/z\n",
		"stages":    "FROM base AS build\nWORKDIR /src\nCOPY . .\nRUN cat a.txt dir/b.txt > out\nFROM base\nCOPY --from=build /src/out /out\n",
		"links":     "FROM base\nRUN echo 1 > /a && ln /a /b && ln -s a /c\n",
		"removal":   "FROM base\nCOPY a.txt /a\nRUN rm /a && rm -r /home\n",
		"workdir":   "FROM base\nWORKDIR /one/two\nUSER 1000\nWORKDIR three\nCOPY --chown=1000 a.txt .\n",
		"heredoc":   "FROM base\nCOPY <<EOF /etc/motd\nhello\nEOF\nRUN <<EOF\necho 1 > /one\necho 2 > /two\nEOF\n",
		"cachedir":  "FROM base\nRUN --mount=type=cache,target=/cache echo x > /cache/x && cat /cache/x > /y\n",
		"preserved": "FROM base AS build\nCOPY dir /dir\nRUN cp -p /dir/b.txt /kept\nFROM scratch\nCOPY --link --from=build /kept /kept\nCOPY --chmod=0600 a.txt /secret\n",
		"metadata":  "FROM base\nARG SOURCE_DATE_EPOCH\nENV BUILT=$SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH > /when\nLABEL a=b\nEXPOSE 80\nHEALTHCHECK CMD true\nVOLUME /data\nCMD [\"sh\"]\n",
	}
}

// The same bytes come out of any store, empty or not, with one processor or more, from files of any age, and
// however commands are run.
func TestReproducible(t *testing.T) {
	dependOnSource(t)
	for name, dockerfile := range reproducibles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, young := reproducibleContext(t, dockerfile, time.Unix(1_000_000_000, 0)), reproducibleContext(t, dockerfile, time.Now())
			store := filepath.Join(testuser.Dir(), "stores", "reproducible-"+name)
			want := builtBytes(t, store, old)
			for what, got := range map[string]string{
				"cached, from younger files": builtBytes(t, store, young),
				"without the cache":          builtBytes(t, store, young, "--no-cache"),
				"in an empty store":          builtBytes(t, store+"-2", young),
				"as one user on one thread":  builtBytes(t, store+"-3", young, "--sandbox=single"),
			} {
				if got != want {
					t.Errorf("%s: got %s, want %s", what, got, want)
				}
			}
		})
	}
}

// reproducibleContext is a context whose files have a certain age.
func reproducibleContext(t *testing.T, dockerfile string, age time.Time) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"Dockerfile": dockerfile, "a.txt": "a", "dir/b.txt": "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, name), age, age); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// builtBytes builds a context and returns the digest of the archive that comes out.
func builtBytes(t *testing.T, store, dir string, args ...string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(store), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "image.tar")
	args = append([]string{
		"build", "--progress=plain", "--reproducible", "--build-context=base=oci-layout://" + toybox(testuser.Dir()), "--output=type=oci,dest=" + out,
	}, append(args, dir)...)
	cmd := exec.CommandContext(t.Context(), program(testuser.Dir()), args...) //nolint:gosec // it is the one under test
	cmd.Env = append(cmd.Environ(), "BUILDER_ROOT="+store)
	if len(args) > 6 {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, said)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

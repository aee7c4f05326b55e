//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
// however commands are run: also as root and in a container, if root has started the tests.
func TestReproducible(t *testing.T) {
	dependOnSource(t)
	for name, dockerfile := range reproducibles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, young := reproducibleContext(t, dockerfile, time.Unix(1_000_000_000, 0)), reproducibleContext(t, dockerfile, time.Now())
			store := filepath.Join(testuser.Dir(), "stores", "reproducible-"+name)
			want := builtBytes(t, store, old)
			for what, got := range map[string]string{
				"cached, from younger files":    builtBytes(t, store, young),
				"without the cache":             builtBytes(t, store, young, "--no-cache"),
				"in an empty store":             builtBytes(t, store+"-2", young),
				"as one user on one thread":     builtBytes(t, store+"-3", young, "--sandbox=single"),
				"with directories and no mount": builtBytes(t, store+"-4", young, "--snapshotter=plain"),
			} {
				if got != want {
					t.Errorf("%s: got %s, want %s", what, got, want)
				}
			}
			for _, way := range waysOfRoot() {
				got, err := os.ReadFile(rootBytes(testuser.Dir(), way.name, name))
				if err == nil && string(got) != want {
					t.Errorf("%s: got %s, want %s", way.name, got, want)
				}
				if err != nil && !errors.Is(err, fs.ErrNotExist) { // an ordinary user has started the tests
					t.Error(err)
				}
			}
		})
	}
}

// reproducibleContext is a context whose files have a certain age.
func reproducibleContext(t *testing.T, dockerfile string, age time.Time) string {
	t.Helper()
	dir := t.TempDir()
	if err := writeReproducible(dir, dockerfile, age); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeReproducible(dir, dockerfile string, age time.Time) error {
	if err := os.MkdirAll(filepath.Join(dir, "dir"), 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"Dockerfile": dockerfile, "a.txt": "a", "dir/b.txt": "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
		if err := os.Chtimes(filepath.Join(dir, name), age, age); err != nil {
			return err
		}
	}
	return nil
}

// builtBytes builds a context and returns the digest of the archive that comes out.
func builtBytes(t *testing.T, store, dir string, args ...string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(store), 0o755); err != nil {
		t.Fatal(err)
	}
	r := reproduction{dir: testuser.Dir(), store: store, out: filepath.Join(t.TempDir(), "image.tar"), args: append(args, dir)}
	sum, err := r.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// reproduction is one build of a context.
type reproduction struct {
	// dir has what was prepared; before are the words before the command, args those after it.
	dir, store, out string
	before, args    []string
}

// build returns the digest of the archive that comes out. With options it uses one processor.
func (r reproduction) build(ctx context.Context) (string, error) {
	words := slices.Concat(r.before, []string{
		program(r.dir), "build", "--progress=plain", "--reproducible", "--build-context=base=oci-layout://" + toybox(r.dir), "--output=type=oci,dest=" + r.out,
	}, r.args)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // it is the one under test
	cmd.Env = append(cmd.Environ(), "BUILDER_ROOT="+r.store)
	if len(r.args) > 1 {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%q: %w: %s", words, err, said)
	}
	content, err := os.ReadFile(r.out)
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), err
}

// wayOfRoot is one in which root builds.
type wayOfRoot struct {
	name         string
	before, args []string
}

// waysOfRoot are real root, and root with the capabilities that Docker leaves to a container, where namespaces
// cannot be made: environments E3 and E6 of docs/WHERE-IT-RUNS.md.
func waysOfRoot() []wayOfRoot { return []wayOfRoot{{name: "root"}, wayChroot()} }

func wayChroot() wayOfRoot {
	const docker = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw," +
		"+sys_chroot,+mknod,+audit_write,+setfcap"
	return wayOfRoot{name: "chroot", before: []string{"setpriv", "--bounding-set=" + docker, "--inh-caps=" + docker}, args: []string{"--sandbox=chroot"}}
}

// rootBytes is the file that says what root has built of a Dockerfile.
func rootBytes(dir, way, dockerfile string) string {
	return filepath.Join(dir, "root-bytes", way+"-"+dockerfile)
}

// prepareRoot builds the Dockerfiles as root, if root has started the tests, which do not run as root themselves.
func prepareRoot(ctx context.Context, dir string) (err error) {
	if os.Geteuid() != 0 {
		return nil
	}
	work, err := os.MkdirTemp("", "builder-root-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.Mkdir(filepath.Join(dir, "root-bytes"), 0o755); err != nil {
		return err
	}
	for name, dockerfile := range reproducibles() {
		built := filepath.Join(work, name)
		if err := writeReproducible(built, dockerfile, time.Unix(1_100_000_000, 0)); err != nil {
			return err
		}
		for _, way := range waysOfRoot() {
			r := reproduction{dir: dir, store: filepath.Join(work, "store-"+way.name), out: filepath.Join(work, "image.tar"), before: way.before, args: append(way.args, built)}
			sum, err := r.build(ctx)
			if err != nil {
				return err
			}
			if err := os.WriteFile(rootBytes(dir, way.name, name), []byte(sum), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

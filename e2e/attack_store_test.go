//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// work is a Dockerfile with something of everything, whose result is the same whenever it is built.
const work = `FROM TOYBOX AS a
RUN echo a > /a && mkdir -p /d/e && echo b > /d/e/f
FROM TOYBOX
COPY --from=a /a /d /copied/
RUN --mount=type=cache,target=/cache echo x >> /cache/log && cp /copied/a /b
COPY Dockerfile /
`

// buildWork builds it as an OCI layout and returns the digest of the image.
func (a *attempt) buildWork() (string, result) {
	a.t.Helper()
	ids := filepath.Join(a.t.TempDir(), "id")
	r := a.build(work, "--iidfile", ids, "--build-arg", "SOURCE_DATE_EPOCH=1700000000",
		"-o", "type=oci,rewrite-timestamp=true,dest="+filepath.Join(a.t.TempDir(), "image.tar"))
	id, _ := os.ReadFile(ids)
	return string(id), r
}

// A builder that is killed at any moment leaves nothing but a store that the next build can use.
func TestKilledAtAnyMoment(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	reference := newAttempt(t, registry)
	want, r := reference.buildWork()
	reference.built(r)
	a := newAttempt(t, registry)
	for round := range 12 {
		a.store = fmt.Sprintf("%s-%d", reference.store, round/4) // new from time to time, to be killed in the pull too
		a.write("Dockerfile", strings.ReplaceAll(work, "TOYBOX", registry+"/toybox"))
		cmd := a.command("build", "--progress", "plain", "--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--no-cache", "-o", "type=cacheonly", ".")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		signal := []unix.Signal{unix.SIGKILL, unix.SIGINT, unix.SIGTERM, unix.SIGKILL}[round%4]
		_ = cmd.Process.Signal(signal)
		began := time.Now()
		_ = cmd.Wait()
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("round %d: it ended %s after signal %v", round, took, signal)
		}
		a.check()
		if got, r := a.buildWork(); r.code != 0 || got != want {
			t.Fatalf("round %d: after signal %v the next build gives %q, want %q:\n%s", round, signal, got, want, r.output)
		}
	}
}

// Builders side by side on one store each give what one alone gives.
func TestConcurrentBuilders(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	reference := newAttempt(t, registry)
	want, r := reference.buildWork()
	reference.built(r)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			a := newAttempt(t, registry)
			a.store = reference.store + "-shared"
			a.write("Dockerfile", strings.ReplaceAll(work, "TOYBOX", registry+"/toybox"))
			ids := filepath.Join(t.TempDir(), "id")
			r := a.run("build", "--progress", "plain", "--iidfile", ids, "--build-arg", "SOURCE_DATE_EPOCH=1700000000",
				"-o", "type=oci,rewrite-timestamp=true,dest="+filepath.Join(t.TempDir(), fmt.Sprint(i)), ".")
			got, _ := os.ReadFile(ids)
			if r.code != 0 || string(got) != want {
				t.Errorf("builder %d: %d, %q, want %q:\n%s", i, r.code, got, want, r.output)
			}
		})
	}
	wg.Wait()
}

// A store whose files are damaged never gives wrong bytes: a build succeeds with the right ones, or says what
// is wrong.
func TestDamagedStore(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for name, script := range map[string]string{
		"x-flip":  `printf "\377" | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") / 2)) conv=notrunc status=none`,
		"x-cut":   `truncate -s $(($(stat -c %s "$1") / 2)) "$1"`,
		"x-empty": `truncate -s 0 "$1"`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttempt(t, registry)
			want, r := a.buildWork()
			a.built(r)
			// Blobs, records and what is known of layers; the files of unpacked trees are those of running
			// commands, which a digest cannot be taken of each time.
			files := a.storeFiles()
			if len(files) == 0 {
				t.Fatal("the store has no files")
			}
			for _, f := range files {
				a.inside("chmod u+w "+`"$1"; `+script, f)
			}
			got, r := a.buildWork()
			switch {
			case r.code == 0 && got != want:
				t.Errorf("the build gives %q, want %q", got, want)
			case r.code != 0 && !strings.Contains(r.output, "builder: "):
				t.Errorf("the error says nothing:\n%s", r.output)
			}
			t.Logf("%d files damaged; exit %d", len(files), r.code)
			a.store += "-new"
			a.works()
		})
	}
}

// storeFiles lists the files of the store but for the content of trees and of caches.
func (a *attempt) storeFiles() []string {
	a.t.Helper()
	out := a.inside(`cd "$1" && find . -type f -size +0 -not -path "*/fs/*" -not -path "./tmp/*" -not -path "./caches/*" -not -name format -not -name CACHEDIR.TAG`, a.store)
	var files []string
	for line := range strings.Lines(out) {
		files = append(files, filepath.Join(a.store, strings.TrimSpace(line)))
	}
	return files
}

// inside runs a script as root of a user namespace, to which the files of subordinate users belong too.
func (a *attempt) inside(script string, args ...string) string {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), "unshare", append([]string{"--map-auto", "--map-root-user", "sh", "-c", script, "-"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		a.t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// A store that others could write to is refused: programs of images that are setuid would be theirs to run
// (CVE-2021-41091).
func TestOpenStore(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	a := newAttempt(t, registry)
	if err := os.MkdirAll(a.store, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(a.store, 0o777); err != nil {
		t.Fatal(err)
	}
	a.refused(a.build(attack("nothing"), "-o", "type=cacheonly"), a.store, "0700")
	a.store += "-other"
	a.works()
}

// onDisk runs builds with a store on a file system in memory of the given options; then, with room and rights,
// again. It returns the output and whether the first succeeded.
func (a *attempt) onDisk(dockerfile, options string) (output string, first bool) {
	a.t.Helper()
	a.write("Dockerfile", strings.ReplaceAll(dockerfile, "TOYBOX", a.registry+"/toybox"))
	disk := filepath.Join(a.t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		a.t.Fatal(err)
	}
	build := strings.Join([]string{
		program(testuser.Dir()), "build", "--progress", "plain", "--root", filepath.Join(disk, "store"), "-o", "type=cacheonly",
		"--build-context", "attacker=" + filepath.Dir(attacker(testuser.Dir())), a.dir,
	}, " ")
	script := fmt.Sprintf(`mount -t tmpfs -o mode=700,%s tmpfs %s; %s; status=$?; mount -o remount,rw,size=1g,nr_inodes=100k %s; %s || exit 99; exit $status`,
		options, disk, build, disk, build)
	cmd := exec.CommandContext(a.t.Context(), "unshare", "--map-auto", "--map-root-user", "--mount", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() == 99 {
		a.t.Errorf("%s, and then with room: the second build fails too:\n%s", options, out)
	}
	a.check()
	return string(out), err == nil
}

// A disk that is full, or has no inodes left, or cannot be written to, is said to be; with room the same build
// works.
func TestFullDisk(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for options, words := range map[string]string{
		"size=4m": "no space left", "size=12m": "no space left", "size=30m": "no space left",
		"size=1g,nr_inodes=60": "no space left", "ro": "read-only file system",
	} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, registry)
			output, ok := a.onDisk("FROM TOYBOX\nRUN --mount=from=attacker,target=/x /x/attacker fill /filled 40\n", options)
			if ok || !strings.Contains(output, words) {
				t.Errorf("the build succeeded: %t; want an error that says %q:\n%s", ok, words, output)
			}
		})
	}
}

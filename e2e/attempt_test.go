//go:build e2e

package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// canary is a text that must never leave the directory that it is kept in.
const canary = "the-canary-sings-7f3a"

// attempt is a build that something attacks: a context, a store of its own, and a directory that must come out
// of it as it went in.
type attempt struct {
	t *testing.T
	// dir is the context, guarded the directory that must not be touched.
	dir, guarded, store string
	registry            string
	before              string
	// attacker is the program that attacks.
	attacker string
	// limit is how long a build may take.
	limit time.Duration
}

func newAttempt(t *testing.T, registry string) *attempt {
	t.Helper()
	top := t.TempDir()
	a := &attempt{
		t: t, registry: registry, limit: limit, attacker: attacker(testuser.Dir()), dir: filepath.Join(top, "context"), guarded: filepath.Join(top, "guarded"),
		// Not below the test's directory, which could not be removed then: it has files of subordinate users.
		store: filepath.Join(testuser.Dir(), "stores", strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())),
	}
	for _, dir := range []string{a.dir, filepath.Join(a.guarded, "empty")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"secret": canary, "nothing": ""} {
		if err := os.WriteFile(filepath.Join(a.guarded, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a.before = a.census()
	return a
}

// secret is the path of the file with the canary.
func (a *attempt) secret() string { return filepath.Join(a.guarded, "secret") }

// census describes all that is guarded: modes, sizes, times and contents.
func (a *attempt) census() string {
	var b strings.Builder
	err := filepath.WalkDir(a.guarded, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s %d %s", path, info.Mode(), info.Size(), info.ModTime())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %x", sha256.Sum256(content))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return b.String()
}

// write writes a file of the context.
func (a *attempt) write(name, content string) {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

// link makes a symbolic link in the context.
func (a *attempt) link(to, name string) {
	a.t.Helper()
	if err := os.Symlink(to, filepath.Join(a.dir, name)); err != nil {
		a.t.Fatal(err)
	}
}

// result is how a build ended.
type result struct {
	code   int
	output string
	// memory is how many bytes the largest of its processes had.
	memory int64
	took   time.Duration
}

// limit is how long a build under attack may take: few have more to do than a second's work.
const limit = 90 * time.Second

// command is the builder with the options that attempts share; its working directory is the context.
func (a *attempt) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(a.t.Context(), program(testuser.Dir()), append(args, "--root", a.store)...)
	a.prepare(cmd)
	return cmd
}

// prepare gives a command the context as its directory, and surroundings that are the same everywhere.
func (a *attempt) prepare(cmd *exec.Cmd) {
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "CI=1", "GUARDED="+canary)
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
}

// build builds the context with a Dockerfile and checks that what is guarded is as it was and nothing is left.
func (a *attempt) build(dockerfile string, args ...string) result {
	a.t.Helper()
	dockerfile = strings.NewReplacer("TOYBOX", a.registry+"/toybox", "REGISTRY", a.registry, "GUARDED", a.guarded).Replace(dockerfile)
	a.write("Dockerfile", dockerfile)
	r := a.run(append([]string{"build", "--progress", "plain", "--build-context", "attacker=" + filepath.Dir(a.attacker)}, append(args, ".")...)...)
	a.check()
	return r
}

func (a *attempt) run(args ...string) result {
	a.t.Helper()
	return a.await(a.command(args...))
}

// await runs a command to its end, which must come soon.
func (a *attempt) await(cmd *exec.Cmd) result {
	a.t.Helper()
	a.prepare(cmd)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	watchdog := time.AfterFunc(a.limit, func() { _ = cmd.Process.Kill() })
	memory := watchMemory(cmd.Process.Pid)
	err := cmd.Wait()
	r := result{output: out.String(), took: time.Since(began), code: cmd.ProcessState.ExitCode(), memory: memory()}
	if !watchdog.Stop() {
		a.t.Errorf("the build had not ended after %s:\n%s", a.limit, r.output)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		a.t.Fatal(err, exit)
	}
	if strings.Contains(r.output, "panic:") || strings.Contains(r.output, "goroutine 1") {
		a.t.Errorf("the builder panicked:\n%s", r.output)
	}
	return r
}

// check checks what no attack may bring about: a change of what is guarded, a process or a mount left behind.
func (a *attempt) check() {
	a.t.Helper()
	if after := a.census(); after != a.before {
		a.t.Errorf("what is guarded has changed\nfrom\n%sto\n%s", a.before, after)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		left := a.left()
		if left == "" {
			return
		}
		if time.Now().After(end) {
			a.t.Errorf("left behind:\n%s", left)
			return
		}
	}
}

// left lists the processes and mounts that belong to the attempt.
func (a *attempt) left() string {
	var found strings.Builder
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range processes {
		line, _ := os.ReadFile(p)
		if strings.Contains(string(line), a.store) || a.inStore(filepath.Dir(p)) {
			fmt.Fprintf(&found, "%s %q\n", p, line)
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, a.store) {
			found.WriteString(line)
		}
	}
	return found.String()
}

// inStore reports whether a process runs one of the attacker's commands for this attempt.
func (a *attempt) inStore(proc string) bool {
	env, err := os.ReadFile(proc + "/environ")
	return err == nil && strings.Contains(string(env), "ATTEMPT="+filepath.Base(a.store)+"\x00")
}

// works checks that the store is as good as new: it is sound, and the next build succeeds.
func (a *attempt) works() {
	a.t.Helper()
	a.undamaged()
	a.dir = a.t.TempDir()
	if r := a.build("FROM TOYBOX\nRUN --mount=from=attacker,target=/x [\"/x/attacker\", \"nothing\"]\n", "--no-cache", "-o", "type=cacheonly"); r.code != 0 {
		a.t.Errorf("the next build fails with %d:\n%s", r.code, r.output)
	}
}

// undamaged checks that all in the store is as it was made, and that finding this out takes little memory.
func (a *attempt) undamaged() {
	a.t.Helper()
	r := a.run("fsck")
	if r.code != 0 || r.memory > checkMemory {
		a.t.Errorf("the check of the store ends with %d and takes %d MiB:\n%s", r.code, r.memory>>20, r.output)
	}
}

// checkMemory is how much memory the check of a store may take, however many files it has.
const checkMemory = 200 << 20

// built and refused check how a build ended. A refusal is the fault of what was built, not of the program.
func (a *attempt) built(r result) {
	a.t.Helper()
	if r.code != 0 {
		a.t.Errorf("the build failed with %d:\n%s", r.code, r.output)
	}
}

func (a *attempt) refused(r result, words ...string) {
	a.t.Helper()
	if r.code == 0 {
		a.t.Errorf("the build succeeded:\n%s", r.output)
	}
	for _, w := range words {
		if !strings.Contains(r.output, w) {
			a.t.Errorf("the error does not say %q:\n%s", w, r.output)
		}
	}
}

// silent checks that a text is in none of the files of the store and of a directory, nor in the output.
func (a *attempt) silent(text string, r result, dirs ...string) {
	a.t.Helper()
	if strings.Contains(r.output, text) {
		a.t.Errorf("%q is in the output:\n%s", text, r.output)
	}
	for _, dir := range append(dirs, a.store) {
		// In a user namespace, where the store can be read.
		out, err := exec.CommandContext(a.t.Context(), "unshare", "--map-auto", "--map-root-user", "grep", "-rlaF", "--", text, dir).CombinedOutput()
		if err == nil || len(out) > 0 {
			a.t.Errorf("%q is in %s", text, out)
		}
	}
}

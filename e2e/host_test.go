//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// hostState describes what a build must leave as it was: mounts, emulators, and processes that nobody waits for.
func hostState(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	emulators, err := filepath.Glob("/proc/sys/fs/binfmt_misc/*")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s\n%s\n%s", mounts, strings.Join(emulators, "\n"), strings.Join(orphans(t), "\n"))
}

// orphans lists the processes that have been left to init, of the user who runs the tests and of the users who
// are subordinate.
func orphans(t *testing.T) []string {
	t.Helper()
	const subordinate = 1 << 16
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, dir := range all {
		info, err := os.Stat(dir)
		if err != nil {
			continue // it has ended
		}
		uid := info.Sys().(*syscall.Stat_t).Uid
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil || int(uid) != os.Getuid() && uid < subordinate || !bytes.Contains(status, []byte("\nPPid:\t1\n")) {
			continue
		}
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err == nil {
			found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	slices.Sort(found)
	return found
}

// sameHost waits until the machine is as it was before.
func sameHost(t *testing.T, before string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		after := hostState(t)
		if after == before {
			return
		}
		if time.Now().After(end) {
			t.Errorf("the machine has changed (-before +after):\n%s", cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")))
			return
		}
	}
}

// interrupted ends builder with a signal while commands run for both platforms. Nothing is left of them.
func (a *app) interrupted(t *testing.T, signal syscall.Signal, want int) {
	before := hostState(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "Dockerfile"), "FROM "+a.registry+"/debian\nRUN echo begun && sleep 70123\n")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := a.command(context.Background(), "build", "--progress", "plain", "--platform", "linux/amd64,linux/arm64", "--no-push", dir)
	cmd.Env = append(cmd.Env, "TMPDIR="+filepath.Join(dir, "tmp"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForLines(t, log.Name(), regexp.MustCompile(`(?m)^#\d+ [0-9.]+ begun$`), len(architectures()))
	if err := unix.Kill(cmd.Process.Pid, signal); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its status is checked
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("it exited with %d, want %d", got, want)
	}
	sameHost(t, before)
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("%v is left in the directory for temporary files, %v", left, err)
	}
}

// waitForLines waits until a file has as many lines that match.
func waitForLines(t *testing.T, path string, line *regexp.Regexp, n int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(line.FindAll(text, -1)) >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s has not %d lines like %s:\n%s", path, n, line, text)
		}
	}
}

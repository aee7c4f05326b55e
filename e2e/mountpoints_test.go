package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A program that watches processes may keep the mount namespace of a command longer than the command lives. What was made
// to be mounted upon is in no layer for that: the build waits until it can be removed.
func TestWatchedCommandLeavesNoMountPoints(t *testing.T) {
	store, dir, result := newStore(t), t.TempDir(), t.TempDir()
	mark := "watched-" + filepath.Base(filepath.Dir(store))
	dockerfile := "FROM toybox\nRUN --mount=type=tmpfs,target=/place/file : " + mark + "; touch /made; sleep 1\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := buildGraph(t.Context(), store, dir, "--output", "type=local,dest="+result)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	held := openNamespace(t, mark)
	released := time.AfterFunc(1500*time.Millisecond, func() { held.Close() })
	defer released.Stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for name, want := range map[string]bool{"made": true, "etc/passwd": true, "place": false, "etc/hosts": false} {
		if _, err := os.Lstat(filepath.Join(result, name)); (err == nil) != want {
			t.Errorf("looking for %s: %v", name, err)
		}
	}
}

// openNamespace opens the mount namespace of a command that has a word among its arguments, as soon as that runs.
func openNamespace(t *testing.T, word string) *os.File {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		processes, _ := filepath.Glob("/proc/[0-9]*")
		for _, p := range processes {
			line, _ := os.ReadFile(p + "/cmdline")
			if !strings.HasPrefix(string(line), "/bin/sh\x00") || !strings.Contains(string(line), word) {
				continue
			}
			f, err := os.Open(p + "/ns/mnt")
			if err != nil {
				continue
			}
			if ns, err := os.Readlink(p + "/ns/mnt"); err == nil && ns != own {
				return f
			}
			f.Close()
		}
	}
	t.Fatal("no command has begun")
	return nil
}

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// running is a build whose command sleeps, with processes of its own that do not wish to die with anybody.
type running struct {
	*attempt
	cmd    *exec.Cmd
	output *lockedText
}

// lockedText is what a running program has written.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// sleeping starts a build and waits until its command sleeps.
func sleeping(t *testing.T, registry string) *running {
	t.Helper()
	a := newAttempt(t, registry)
	a.write("Dockerfile", strings.ReplaceAll("FROM TOYBOX\nENV ATTEMPT="+filepath.Base(a.store)+"\n"+
		attackStep("leave", "3")+attackStep("sleep", "100"), "TOYBOX", registry+"/toybox"))
	r := &running{attempt: a, output: &lockedText{}}
	r.cmd = a.command("build", "--progress", "plain", "--build-context", "attacker="+filepath.Dir(a.attacker), "-o", "type=cacheonly", ".")
	r.cmd.Stdout, r.cmd.Stderr = r.output, r.output
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(limit); !strings.Contains(r.output.String(), "asleep"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			_ = r.cmd.Process.Kill()
			t.Fatalf("the command does not run:\n%s", r.output)
		}
	}
	return r
}

// descendants returns the processes below one whose command line has a text, from the nearest on.
func descendants(pid int, text string) (found []int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range threads {
		list, _ := os.ReadFile(file)
		for field := range strings.FieldsSeq(string(list)) {
			var child int
			if _, err := fmt.Sscan(field, &child); err != nil {
				continue
			}
			if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child)); strings.Contains(string(line), text) {
				found = append(found, child)
			}
			found = append(found, descendants(child, text)...)
		}
	}
	return found
}

// ends waits for the build, which must end soon, and checks that nothing is left and the next build works.
func (r *running) ends() {
	r.t.Helper()
	began := time.Now()
	watchdog := time.AfterFunc(limit, func() { _ = r.cmd.Process.Kill() })
	defer watchdog.Stop()
	if err := r.cmd.Wait(); err == nil {
		r.t.Errorf("the build succeeded:\n%s", r.output)
	}
	if took := time.Since(began); took > 30*time.Second {
		r.t.Errorf("the build ended after %s", took)
	}
	r.check()
	r.works()
}

// Whoever of a build's processes is killed, the build ends and nothing is left of it.
func TestKilledProcesses(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for name, victim := range map[string]func(r *running) []int{
		"k-stubborn": func(r *running) []int { return []int{r.cmd.Process.Pid} },
		"k-L1":       func(r *running) []int { return descendants(r.cmd.Process.Pid, r.store)[:1] },
		"k-command":  func(r *running) []int { return descendants(r.cmd.Process.Pid, "/x/attacker\x00sleep\x00100") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sleeping(t, registry)
			pids := victim(r)
			if len(pids) == 0 {
				t.Errorf("there is nobody to kill:\n%s", r.output)
				pids = []int{r.cmd.Process.Pid}
			}
			for _, pid := range pids {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
			r.ends()
		})
	}
}

// k-pasta: without the program that carries its network a build goes on; commands find that the network is gone.
func TestKilledNetwork(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	r := sleeping(t, registry)
	carriers := descendants(r.cmd.Process.Pid, "pasta")
	if len(carriers) == 0 {
		t.Errorf("there is no pasta; the test needs it: apt-get install passt\n%s", r.output)
	}
	for _, pid := range carriers {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	time.Sleep(200 * time.Millisecond)
	if strings.Contains(r.output.String(), "builder: ") {
		t.Errorf("the build has ended:\n%s", r.output)
	}
	_ = r.cmd.Process.Signal(unix.SIGTERM)
	r.ends()
}

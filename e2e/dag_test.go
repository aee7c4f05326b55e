package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// buildGraph returns the command that builds a context with a store. It makes the same image whenever and
// wherever it runs.
func buildGraph(ctx context.Context, store, dir string, more ...string) *exec.Cmd {
	args := append([]string{
		"build", "--progress", "plain", "--build-context", "toybox=oci-layout://" + toybox(testuser.Dir()),
		"--reproducible",
	}, more...)
	cmd := exec.CommandContext(ctx, program(testuser.Dir()), append(args, dir)...)
	cmd.Env = append(os.Environ(), "BUILDER_ROOT="+store)
	return cmd
}

// built builds and returns the digest of the image and what was printed.
func built(t *testing.T, store, dir string) (digest, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "id")
	out, err := buildGraph(t.Context(), store, dir, "--iidfile", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	id, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(id), string(out)
}

// newStore returns a place for a store, which is removed at the end: it has files of subordinate users.
func newStore(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(testuser.Dir(), "store-") //nolint:usetesting // which would not be able to remove it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := testuser.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "store")
}

// amount is n, or what the variable says: the long form of a test is for who has the time.
func amount(t *testing.T, variable string, n int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return n
	}
	many, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%s: %v", variable, text, err)
	}
	return many
}

// Several builders work on one store, and every now and then one of them is killed. Then the store is sound, and every
// image that comes from it is the same as one built anew. BUILDER_TEST_BUILDERS and BUILDER_TEST_DAGS say how many.
func TestKilledBuilders(t *testing.T) {
	builders, graphs := amount(t, "BUILDER_TEST_BUILDERS", 3), amount(t, "BUILDER_TEST_DAGS", 2)
	store := newStore(t)
	contexts := make([]string, graphs)
	for i := range contexts {
		contexts[i] = t.TempDir()
		newGraph(rand.New(rand.NewPCG(1, uint64(i)))).write(t, contexts[i])
	}
	var g errgroup.Group
	for n := range builders {
		g.Go(func() error {
			r := rand.New(rand.NewPCG(2, uint64(n)))
			for range graphs {
				if err := buildOrKill(t.Context(), r, store, contexts[r.IntN(graphs)]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	wantSound(t, store)
	for _, dir := range contexts {
		got, _ := built(t, store, dir)
		want, text := built(t, newStore(t), dir)
		if got != want {
			t.Errorf("the image from the store is %s, one built anew is %s\n%s", got, want, text)
		}
	}
}

// buildOrKill builds, and with some luck kills the build before it has ended. A build that is not killed succeeds.
func buildOrKill(ctx context.Context, r *rand.Rand, store, dir string) error {
	cmd := buildGraph(ctx, store, dir, "--no-push")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	killed := r.IntN(2) == 0
	if killed {
		timer := time.AfterFunc(time.Duration(r.IntN(1500))*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		defer timer.Stop()
	}
	if err := cmd.Wait(); err != nil && !killed {
		return fmt.Errorf("%w\n%s", err, out.String())
	}
	return nil
}

func wantSound(t *testing.T, store string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(testuser.Dir()), "fsck")
	cmd.Env = append(os.Environ(), "BUILDER_ROOT="+store)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Two builds of one step at once run it once. If the one that runs it dies, the other runs it.
func TestSingleFlight(t *testing.T) {
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprint("kill=", kill), func(t *testing.T) {
			store, dir, shared := newStore(t), t.TempDir(), t.TempDir()
			dockerfile := "FROM toybox\nRUN --mount=type=cache,target=/count echo ran >> /count/log; sleep 3\n" +
				"RUN --mount=type=cache,target=/count,sharing=locked cp /count/log /log\n"
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
				t.Fatal(err)
			}
			first := buildGraph(t.Context(), store, dir, "--no-push")
			if err := first.Start(); err != nil {
				t.Fatal(err)
			}
			waitForCache(t, store)
			second := buildGraph(t.Context(), store, dir, "--output", "type=local,dest="+shared)
			var out bytes.Buffer
			second.Stdout, second.Stderr = &out, &out
			if err := second.Start(); err != nil {
				t.Fatal(err)
			}
			if kill {
				if err := first.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if err := first.Wait(); err != nil && !kill {
				t.Fatal(err)
			}
			if err := second.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			log, err := os.ReadFile(filepath.Join(shared, "log"))
			ran := strings.Count(string(log), "ran") // at most once before the first was killed
			if err != nil || ran != 1 && !kill || ran == 0 {
				t.Errorf("the step ran %d times: %v\n%s", ran, err, &out)
			}
			if took := strings.Contains(out.String(), "CACHED [0 1/2]"); took == kill {
				t.Errorf("the second has taken what the first made: %t\n%s", took, &out)
			}
		})
	}
}

// waitForCache waits until a command has begun that has a cache directory.
func waitForCache(t *testing.T, store string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		found, err := fs.Glob(os.DirFS(store), "caches/*/lock")
		if err == nil && len(found) > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no command has begun")
		}
	}
}

// Two commands that use a cache directory at once see it as its sharing says: both of them, each its own, or one after
// the other.
func TestCacheMountSharing(t *testing.T) {
	for _, c := range []struct{ sharing, want string }{
		{"shared", "alone together"}, {"private", "alone alone"}, {"locked", "alone alone"},
	} {
		t.Run(c.sharing, func(t *testing.T) {
			t.Parallel()
			store := newStore(t)
			var found [2]string
			var g errgroup.Group
			for n := range found {
				dir, result := t.TempDir(), t.TempDir()
				command := "if mkdir /c/busy; then echo alone > /found; sleep 2; rmdir /c/busy; else echo together > /found; fi"
				dockerfile := fmt.Sprintf("FROM toybox\nRUN --mount=type=cache,target=/c,sharing=%s %s; echo %d\n", c.sharing, command, n)
				if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
					t.Fatal(err)
				}
				g.Go(func() error {
					if out, err := buildGraph(t.Context(), store, dir, "--output", "type=local,dest="+result).CombinedOutput(); err != nil {
						return fmt.Errorf("%w\n%s", err, out)
					}
					text, err := os.ReadFile(filepath.Join(result, "found"))
					found[n] = strings.TrimSpace(string(text))
					return err
				})
				if n == 0 {
					waitForCache(t, store)
				}
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			slices.Sort(found[:])
			if got := strings.Join(found[:], " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

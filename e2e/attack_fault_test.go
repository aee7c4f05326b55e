//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/internal/testuser"
)

// changes are the calls, but for write(2), by which a store is changed.
func changes() []string {
	return []string{"renameat", "renameat2", "linkat", "unlinkat", "mkdirat", "flock", "fchmod"}
}

// faulty builds the work with strace, which makes system calls fail or kills who makes them; "" is no fault. It
// returns the digest of the image. It runs in a user namespace of its own, as a program that is traced gets no
// rights from newuidmap.
func (a *attempt) faulty(fault string) (string, result) {
	a.t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		a.t.Fatal("the test needs strace: apt-get install strace")
	}
	a.write("Dockerfile", strings.ReplaceAll(work, "TOYBOX", a.registry+"/toybox"))
	ids := filepath.Join(a.t.TempDir(), "id")
	args := []string{"--map-auto", "--map-root-user", "--mount"}
	if fault != "" {
		args = append(args, "strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject="+fault)
	}
	args = append(args, program(testuser.Dir()), "build", "--progress", "plain", "--root", a.store, "--iidfile", ids,
		"--build-arg", "SOURCE_DATE_EPOCH=1700000000", "-o", "type=oci,rewrite-timestamp=true,dest="+filepath.Join(a.t.TempDir(), "image.tar"), ".")
	r := a.await(exec.CommandContext(a.t.Context(), "unshare", args...))
	a.check()
	id, _ := os.ReadFile(ids)
	return string(id), r
}

// sound builds the work without a fault and checks that the image is the right one, and all in the store is as it was made.
func (a *attempt) sound(want, after string) {
	a.t.Helper()
	if got, r := a.faulty(""); r.code != 0 || got != want {
		a.t.Fatalf("after %s the next build gives %q, want %q:\n%s", after, got, want, r.output)
	}
	a.undamaged()
}

// faults runs builds each of which meets a fault at one of the numbers of a call: that many times some thread has made
// it.
func faults(t *testing.T, calls []string, what string, numbers []int, judge func(a *attempt, fault string, r result)) {
	t.Helper()
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	reference := newAttempt(t, registry)
	want, r := reference.faulty("")
	reference.built(r)
	for _, call := range calls {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			for _, n := range numbers {
				a := newAttempt(t, registry)
				a.store += fmt.Sprint("-", n)
				fault := fmt.Sprintf("%s:%s:when=%d", call, what, n)
				got, r := a.faulty(fault)
				if r.code == 0 && got != want {
					t.Errorf("%s: the build gives %q, want %q:\n%s", fault, got, want, r.output)
				}
				judge(a, fault, r)
				a.sound(want, fault)
			}
		})
	}
}

// k-at: a builder that kills itself before the first change that it would make to the store, before the second and
// so on, by any of the calls that change something, leaves a store that gives the right image.
func TestKilledAtEachChange(t *testing.T) {
	faults(t, append(changes(), "write"), "signal=SIGKILL", []int{1, 2, 3, 5, 8}, func(a *attempt, fault string, r result) {
		if r.code == 0 && strings.HasSuffix(fault, "=1") {
			a.t.Errorf("%s: nothing was killed:\n%s", fault, r.output)
		}
	})
}

// x-eio: where the disk returns an error the build says so, or has no need of what failed. It never gives a wrong
// image, and the next one works. Writing is left to TestFullDisk: Go's runtime cannot do without it.
func TestDiskErrors(t *testing.T) {
	faults(t, changes(), "error=EIO", []int{1, 2, 4, 7}, func(a *attempt, fault string, r result) {
		if r.code != 0 && !strings.Contains(r.output, "builder: ") && !strings.Contains(r.output, "input/output error") {
			a.t.Errorf("%s: the error says nothing:\n%s", fault, r.output)
		}
	})
}

// x-nfs: a file system without locks, such as some NFS servers have, is refused by name.
func TestNoLocks(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for _, errno := range []string{"ENOLCK", "EOPNOTSUPP"} {
		a := newAttempt(t, registry)
		a.store += errno
		_, r := a.faulty("flock:error=" + errno)
		a.refused(r, a.store, "lock")
	}
}

// x-clock: a clock that jumps ten years ahead or back between builds changes nothing: nothing runs again, nothing
// that is in use is pruned.
func TestClockJumps(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for name, date := range map[string]string{"ahead": "-10 years", "back": "+10 years"} {
		t.Run(name, func(t *testing.T) {
			a := newAttempt(t, registry)
			want, r := a.buildWork()
			a.built(r)
			// As seen from a clock that has jumped, all that is there has jumped the other way.
			a.inside(`find "$1" -exec touch -h -d "$2" {} +`, a.store, date)
			if got, r := a.buildWork(); got != want || !strings.Contains(r.output, ": 0 steps run") {
				t.Errorf("the second build gives %q, want %q:\n%s", got, want, r.output)
			}
			a.built(a.run("prune", "--filter", "until=1h"))
			if got, r := a.buildWork(); got != want {
				t.Errorf("the build after pruning gives %q, want %q:\n%s", got, want, r.output)
			}
		})
	}
}

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// x-gc-race: while others prune all that no build uses, again and again, builds give what they always give.
func TestPrunedUnderneath(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	reference := newAttempt(t, registry)
	want, r := reference.buildWork()
	reference.built(r)
	store := reference.store + "-shared"
	var all sync.WaitGroup
	end := time.Now().Add(10 * time.Second)
	for range 3 {
		all.Go(func() {
			for time.Now().Before(end) {
				a := newAttempt(t, registry)
				a.store = store
				a.write("Dockerfile", strings.ReplaceAll(work, "TOYBOX", registry+"/toybox"))
				ids := filepath.Join(t.TempDir(), "id")
				r := a.run("build", "--progress", "plain", "--iidfile", ids, "--build-arg", "SOURCE_DATE_EPOCH=1700000000",
					"-o", "type=oci,rewrite-timestamp=true,dest="+filepath.Join(t.TempDir(), "image.tar"), ".")
				if got, _ := os.ReadFile(ids); r.code != 0 || string(got) != want {
					t.Errorf("%d, %q, want %q:\n%s", r.code, got, want, r.output)
					return
				}
			}
		})
	}
	pruner := newAttempt(t, registry)
	pruner.store = store
	for time.Now().Before(end) {
		pruner.built(pruner.run("prune", "--all"))
	}
	all.Wait()
}

// x-version: a store that another version has made is left as it is.
func TestOtherVersion(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	a := newAttempt(t, registry)
	_, r := a.buildWork()
	a.built(r)
	format := filepath.Join(a.store, "format")
	if err := os.WriteFile(format, []byte("builder store 999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := a.inside(`cd "$1" && find . -printf "%p %s %T@ %C@\n" | sort`, a.store)
	a.refused(a.build(attack("nothing"), "-o", "type=cacheonly"), a.store, "another version")
	if after := a.inside(`cd "$1" && find . -printf "%p %s %T@ %C@\n" | sort`, a.store); after != before {
		t.Errorf("the store has changed from\n%s\nto\n%s", before, after)
	}
	a.store += "-new"
	a.works()
}

// x-enospc-sweep: whatever the size of the disk, a build succeeds or says that it is full, and then with room it works.
func TestDisksOfAllSizes(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for size := 1; size <= 60; size += 4 {
		a := newAttempt(t, registry)
		output, ok := a.onDisk("FROM TOYBOX\nRUN --mount=from=attacker,target=/x /x/attacker fill /filled 20\nRUN echo more > /more\n", fmt.Sprintf("size=%dm", size))
		if !ok && !strings.Contains(output, "no space left") {
			t.Errorf("%d MiB: the error does not say that the disk is full:\n%s", size, output)
		}
	}
}

//go:build linux

package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a process that is gone has left in the making is removed, what one is about to make is not.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	first := &shelf{}
	if err := first.open(dir); err != nil {
		t.Fatal(err)
	}
	d, err := first.draft()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, tmpDir, "dead/tree/file"), "x")
	write(t, filepath.Join(dir, tmpDir, "file"), "x")
	if err := os.Chmod(filepath.Join(dir, tmpDir, "dead/tree"), 0o500); err != nil {
		t.Fatal(err)
	}
	if err := (&shelf{}).open(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, tmpDir)); err != nil || len(left) != 1 || left[0].Name() != filepath.Base(d.dir) {
		t.Errorf("left %v, %v", left, err)
	}
	d.drop()
	wantNoDrafts(t, dir)
}

func TestListAndRemove(t *testing.T) {
	s := newGitServer(t)
	r, first, _ := sample(s)
	web := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, long) })
	dir := t.TempDir()
	h, g := newHTTP(t, dir), newGit(t, dir)
	request, c := Request{URL: web.URL + "/f"}, Checkout{Commit: Commit{Remote: r.url, ID: first}}
	fetch(t, h, request)
	checkout(t, g, c)

	kept, err := List(dir)
	if err != nil || len(kept) != 3 {
		t.Fatal(kept, err)
	}
	removed := func() (n int) {
		for _, k := range kept {
			if k.Size <= 0 || time.Since(k.Used) > time.Hour {
				t.Errorf("got %+v", k)
			}
			ok, err := Remove(k)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
			if ok {
				n++
			}
		}
		return n
	}
	if n := removed(); n != 1 { // the repository, which is in use only while something is fetched
		t.Errorf("removed %d of those in use", n)
	}
	if _, err := os.ReadFile(filepath.Join(checkout(t, g, c), "file")); err != nil {
		t.Error(err)
	}
	h.Close()
	g.Close()
	if n := removed(); n != 2 {
		t.Errorf("removed %d", n)
	}
	for _, kind := range []string{keptDir, indexDir, repositoriesDir, tmpDir} {
		if left, err := os.ReadDir(filepath.Join(dir, kind)); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", kind, left, err)
		}
	}
	// All that was removed comes again.
	wantFile(t, fetch(t, newHTTP(t, dir), request), "f", long)
	checkout(t, newGit(t, dir), c)

	if kept, err := List(filepath.Join(dir, "nothing")); len(kept) > 0 || err != nil {
		t.Errorf("got %v, %v", kept, err)
	}
	_, err = Remove(Kept{Path: "/etc/passwd"})
	wantError(t, err, "not something that is kept")
}

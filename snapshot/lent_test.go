//go:build linux

package snapshot_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/snapshot"
)

// A layer of another store is unpacked when it is needed, and then is one of this store.
func TestLend(t *testing.T) {
	from, to := openStore(t), openStore(t)
	made := change(t, from, nil, func(root string) {
		must(t, os.WriteFile(filepath.Join(root, "file"), []byte("content"), 0o640))
		must(t, os.Link(filepath.Join(root, "file"), filepath.Join(root, "link")))
	})
	content, err := made.ContentID()
	must(t, err)
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lend := func(content v1.Hash) *snapshot.Layer {
		l, err := to.Lend(t.Context(), snapshot.Lent{Blob: made, Content: content, Created: created})
		must(t, err)
		return l
	}
	lent := lend(content)
	if err := lent.Keep(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a layer that was not read is in the store: %v", err)
	}
	view, err := to.View([]*snapshot.Layer{lent})
	must(t, err)
	before, err := from.View([]*snapshot.Layer{made})
	must(t, err)
	wantLines(t, listing(t, view), listing(t, before))
	must(t, lent.Keep())
	stored, err := to.Stored(t.Context(), content)
	must(t, err)
	if got, err := stored.Created(); err != nil || !got.Equal(created) {
		t.Errorf("it was packed at %s, %v, want %s", got, err, created)
	}

	other := content
	other.Hex = strings.Repeat("0", 64)
	if _, err := to.View([]*snapshot.Layer{lend(other)}); !errors.Is(err, snapshot.ErrContent) {
		t.Errorf("a layer of something else: %v", err)
	}
	if _, err := to.Stored(t.Context(), other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a layer of something else was kept: %v", err)
	}
}

// A check finds what is not as its name says, and repairing removes just that.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	s := openStoreIn(t, dir, snapshot.DriverAuto)
	l := change(t, s, nil, func(root string) { must(t, os.WriteFile(filepath.Join(root, "file"), []byte("content"), 0o640)) })
	_, err := l.Digest()
	must(t, err)
	must(t, l.Keep())
	must(t, s.Close())
	wantDamaged := func(repair bool, want ...string) {
		t.Helper()
		s := openStoreIn(t, dir, snapshot.DriverAuto)
		defer func() { must(t, s.Close()) }()
		checked, problems, err := s.Check(t.Context(), repair)
		must(t, err)
		if checked.Objects == 0 || len(problems) != len(want) {
			t.Errorf("of %+v these are damaged: %+v, want %q", checked, problems, want)
		}
		for _, p := range problems {
			if kind, _, _ := strings.Cut(p.Name, "/"); !strings.Contains(strings.Join(want, " "), kind) || p.Repaired != repair {
				t.Errorf("%+v", p)
			}
		}
	}
	wantDamaged(false)
	for _, pattern := range []string{"blobs/sha256/*/*", "trees/*/fs/file"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		must(t, err)
		for _, name := range found {
			must(t, os.Chmod(name, 0o600))
			must(t, os.WriteFile(name, []byte("damaged"), 0o600))
		}
	}
	wantDamaged(false, "blobs", "trees")
	wantDamaged(true, "blobs", "trees")
	s = openStoreIn(t, dir, snapshot.DriverAuto)
	defer func() { must(t, s.Close()) }()
	if _, problems, err := s.Check(t.Context(), false); err != nil || len(problems) > 0 {
		t.Errorf("after the repair: %+v, %v", problems, err)
	}
}

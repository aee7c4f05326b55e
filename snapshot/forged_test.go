//go:build linux

package snapshot

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

// What is recorded counts on files of this program's own only: a user of an image could else make a file root's, or a
// device, by recording that.
func TestForgedRecords(t *testing.T) {
	us := uint32(os.Geteuid())
	if forged(&Entry{UID: us}) || !forged(&Entry{UID: us + 1000}) {
		t.Error("records of our own files do not count, or those of others do")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "given")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ownership.Set(name, ownership.Record{UID: 70000, GID: 7}); err != nil {
		t.Fatal(err)
	}
	check := func(want uint32) {
		t.Helper()
		root, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		e, err := NewDir(root).Lstat("given")
		if err != nil || e.UID != want {
			t.Errorf("the owner is %d, %v; want %d", e.UID, err, want)
		}
	}
	check(70000)
	if err := unix.Chown(name, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	check(1000)
}

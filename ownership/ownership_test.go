//go:build linux

package ownership_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-298d225e/builder/ownership"
)

func TestParse(t *testing.T) {
	for _, r := range []ownership.Record{
		{},
		{UID: 4294967294, GID: 100},
		{UID: 1, GID: 2, Device: 'c', Major: 1, Minor: 3, Mode: 0o4666},
		{Device: 'b', Major: 259, Minor: 4294967295},
	} {
		got, ok := ownership.Parse(r.String())
		if !ok || got != r {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", r.String(), got, ok, r)
		}
	}
	for _, s := range []string{"", "1", ":", "1:", "-1:2", "1:4294967296", "1:2:x:1:3:666", "1:2:c:1:3", "a:b"} {
		if r, ok := ownership.Parse(s); ok {
			t.Errorf("Parse(%q) = %+v, want an error", s, r)
		}
	}
}

func TestRecordOfAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, ok := ownership.Get(name); ok {
		t.Fatalf("a new file has the record %+v", r)
	}
	want := ownership.Record{UID: 33, GID: 44}
	if err := ownership.Set(name, want); err != nil {
		t.Fatal(err)
	}
	if r, ok := ownership.Get(name); !ok || r != want {
		t.Fatalf("read %+v, %v; want %+v", r, ok, want)
	}
	for range 2 { // the second time there is none
		if err := ownership.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := ownership.Get(name); ok {
		t.Fatal("the record is still there")
	}
}

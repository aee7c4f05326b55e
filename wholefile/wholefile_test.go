package wholefile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	for _, want := range []string{"first", "second"} {
		if err := Write(name, 0o644, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o644 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

// Where writing fails the older file stays, and nothing else.
func TestCreateFails(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := Write(name, 0o600, []byte("older")); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	err := Create(name, 0o600, func(w io.Writer) error {
		_, _ = io.WriteString(w, "newer")
		return failed
	})
	if !errors.Is(err, failed) || err.Error() != "writing "+name+": failed" {
		t.Errorf("got %v", err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "older" {
		t.Errorf("got %q, %v", got, err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left are %v", list)
	}
}

func TestNoDirectory(t *testing.T) {
	if err := Write(filepath.Join(t.TempDir(), "none", "file"), 0o600, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// What is being written is known by its name.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	err := Create(filepath.Join(dir, "file"), 0o600, func(io.Writer) error {
		names, err := os.ReadDir(dir)
		if err == nil && (len(names) != 1 || !Unfinished(filepath.Join(dir, names[0].Name()))) {
			t.Errorf("%v is not unfinished", names)
		}
		return err
	})
	if err != nil || Unfinished(filepath.Join(dir, "file")) {
		t.Errorf("the file is unfinished: %v", err)
	}
}

//go:build linux

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What a command makes of the places where something was put decides nothing outside of its root directory.
func TestPlacementIsTakenBackInside(t *testing.T) {
	for name, attack := range map[string]func(root, outside string) error{
		"nothing": func(string, string) error { return nil },
		"a link in place of the directory around": func(root, outside string) error {
			return errors.Join(os.Rename(root+"/a", root+"/x"), os.Symlink(outside, root+"/a"))
		},
		"a link in place of the target": func(root, outside string) error {
			return errors.Join(os.RemoveAll(root+"/a/etc"), os.Symlink(outside, root+"/a/etc"))
		},
		"a file in place of the target": func(root, _ string) error {
			return errors.Join(os.Rename(root+"/a/etc", root+"/kept"), os.WriteFile(root+"/a/etc", nil, 0o600))
		},
		"no target":           func(root, _ string) error { return os.RemoveAll(root + "/a/etc") },
		"no directory around": func(root, _ string) error { return os.RemoveAll(root + "/a") },
		"another directory there": func(root, _ string) error {
			return errors.Join(os.RemoveAll(root+"/a"), os.MkdirAll(root+"/a/etc/x", 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, source := range map[string]string{"cache": "source", "tmpfs": ""} {
				t.Run(kind, func(t *testing.T) { placeAndAttack(t, source, attack) })
			}
		})
	}
}

func placeAndAttack(t *testing.T, source string, attack func(root, outside string) error) {
	dir := t.TempDir()
	root, outside := filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	for _, d := range []string{"root", "source", "outside/etc"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p := placementIn(t, root)
	m := Mount{Target: "/a/etc"}
	if source != "" {
		m.Source = reference(t, filepath.Join(dir, source))
	}
	if err := p.mount(m); err != nil {
		t.Fatal(err)
	}
	if err := attack(root, outside); err != nil {
		t.Fatal(err)
	}
	if err := p.undo(); err != nil {
		t.Error(err)
	}
	for _, d := range []string{filepath.Join(outside, "etc"), filepath.Join(dir, "source")} {
		if info, err := os.Lstat(d); err != nil || !info.IsDir() {
			t.Errorf("%s is no longer a directory: %v", d, err)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside has %v, %v", entries, err)
	}
	if left, _ := filepath.Glob(dir + "/aside-*"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// Nothing is put in place of the root directory itself.
func TestPlacementAtRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := errors.Join(os.Mkdir(root, 0o700), os.Symlink("/", root+"/here")); err != nil {
		t.Fatal(err)
	}
	p := placementIn(t, root)
	for _, target := range []string{"/here", "/x/.."} {
		if err := p.mount(Mount{Target: target}); err == nil {
			t.Errorf("%s can be mounted upon", target)
		}
	}
	if err := p.undo(); err != nil {
		t.Error(err)
	}
}

func placementIn(t *testing.T, root string) *placement {
	t.Helper()
	r, err := newRoot(reference(t, root))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlacement(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// reference opens a directory for reference only.
func reference(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

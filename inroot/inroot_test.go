//go:build linux

package inroot

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree makes a root with links that lead out of it, beside a canary that must stay as it is.
func tree(t *testing.T) (root *os.File, canary string) {
	t.Helper()
	dir := t.TempDir()
	canary = filepath.Join(dir, "canary")
	top := filepath.Join(dir, "root")
	for _, d := range []string{canary, top + "/etc", top + "/a/b"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"abs": canary, "rel": "../../../../../../.." + canary, "in": "a/b", "up": "a/b/../../..",
		"nowhere": "/made/here", "loop": "loop", "chain": "in", "proc": "/proc/self/root",
	} {
		if err := os.Symlink(to, filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, canary
}

func TestDirectoryStaysInside(t *testing.T) {
	root, canary := tree(t)
	for _, name := range []string{
		"abs/x", "rel/x", "../../canary/x", "/etc/x", "in/x", "up/canary/x", "nowhere/x", "chain/y", "a/../../canary/z",
		strings.Repeat("d/", 3000) + "deep",
	} {
		f, err := Directory(root, name, nil)
		if err != nil {
			t.Errorf("%.40s: %.200v", name, err)
			continue
		}
		at, err := os.Readlink("/proc/self/fd/" + itoa(f.Fd()))
		if err == nil && !strings.HasPrefix(at, root.Name()) {
			t.Errorf("%.40s is at %s, outside of %s", name, at, root.Name())
		}
		f.Close()
	}
	if entries, err := os.ReadDir(canary); err != nil || len(entries) > 0 {
		t.Errorf("outside of the root there is now %v (%v)", entries, err)
	}
	if _, err := os.Stat(filepath.Join(root.Name(), "made/here/x")); err != nil {
		t.Errorf("what a link to nothing leads to was not made: %v", err)
	}
}

func TestLoopsAndMagicLinks(t *testing.T) {
	root, _ := tree(t)
	if f, err := Directory(root, "loop/x", nil); err == nil {
		f.Close()
		t.Error("a directory was made below a loop")
	}
	proc, err := os.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	if f, err := Open(proc, "self/root", unix.O_PATH); err == nil {
		f.Close()
		t.Error("a magic link was followed")
	}
}

func TestMaker(t *testing.T) {
	root, _ := tree(t)
	var made []string
	f, err := Directory(root, "a/new/deep", func(parent *os.File, name string) error {
		made = append(made, name)
		return unix.Mkdirat(int(parent.Fd()), name, 0o700)
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := strings.Join(made, " "); got != "new deep" {
		t.Errorf("made %q, want %q", got, "new deep")
	}
}

func itoa(n uintptr) string {
	s := ""
	for ; n > 0; n /= 10 {
		s = string(rune('0'+n%10)) + s
	}
	return s
}

// FuzzInRoot compares with the oldest way to be safe, chroot(2): both must find the same file, or both
// none. Only root may chroot.
func FuzzInRoot(f *testing.F) {
	for _, s := range []string{"abs/secret", "in/../x", "up/etc", "chain", "rel", "a/b/../../etc", "loop/x", "//etc/./", "nowhere"} {
		f.Add(s)
	}
	if os.Geteuid() != 0 {
		f.Skip("needs root to compare with chroot")
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.ContainsRune(name, 0) || len(name) > 2000 {
			return
		}
		root, _ := tree(t)
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^$", "--", name)
		cmd.Env = []string{"INROOT_CHROOT=" + root.Name()}
		want, _ := cmd.Output()
		got := ""
		if file, err := Open(root, name, unix.O_PATH); err == nil {
			var st unix.Stat_t
			if err := unix.Fstat(int(file.Fd()), &st); err == nil {
				got = itoa(uintptr(st.Ino))
			}
			file.Close()
		}
		if got != string(want) {
			t.Errorf("%q is inode %q, in a chroot %q", name, got, want)
		}
	})
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("INROOT_CHROOT"); dir != "" {
		var st unix.Stat_t
		// As Open does, the path is cleaned first: ".." after a link is not what cd -P makes of it.
		if unix.Chroot(dir) == nil && unix.Stat("/"+clean(os.Args[len(os.Args)-1]), &st) == nil {
			_, _ = os.Stdout.WriteString(itoa(uintptr(st.Ino)))
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

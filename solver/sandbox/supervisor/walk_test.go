//go:build linux

package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
)

// taskIn makes a task whose root directory, which is root's, has what fill puts there.
func taskIn(t *testing.T, fill func(dir string) error) *task {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(give(dir, 0o755, record(0, 0)), fill(dir)); err != nil {
		t.Fatal(err)
	}
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &task{Supervisor: &Supervisor{rootFD: int(root.Fd()), rootPath: dir}, dir: "/proc/self", waits: func() bool { return true }}
}

// give gives a file a mode and an owner.
func give(path string, mode uint32, r ownership.Record) error {
	return errors.Join(unix.Chmod(path, mode|unix.S_IRUSR|unix.S_IWUSR|unix.S_IXUSR), ownership.Set(path, r), unix.Chmod(path, mode))
}

// tree makes directories of root's that are closed, open and sticky, a user's own, and links.
func tree(dir string) error {
	for _, d := range []struct {
		name string
		mode uint32
		of   ownership.Record
	}{
		{"closed", 0o700, record(0, 0)},
		{"closed/below", 0o755, record(0, 0)},
		{"open", 0o755, record(0, 0)},
		{"sticky", 0o1777, record(0, 0)},
		{"own", 0o700, record(1000, 1000)},
		{"team", 0o750, record(0, 50)},
	} {
		at := filepath.Join(dir, d.name)
		if err := errors.Join(os.Mkdir(at, 0o700), give(at, d.mode|unix.S_IRWXU, d.of), os.WriteFile(at+"/file", nil, 0o600), give(at+"/file", 0o644, d.of)); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"in": "closed/file", "loop": "loop", "out": "../../../../own/file", "top": "/own", "nowhere": "/own/none", "team/up": "../own", "slash": "own/",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// Where paths lead depends on who asks.
func TestWalk(t *testing.T) {
	task := taskIn(t, tree)
	app, root := User{UID: 1000, GID: 1000, Groups: []uint32{50}}.identity(), User{}.identity()
	for _, c := range []struct {
		path  string
		who   identity
		want  string // the name in its directory, with "!" if nothing is there
		errno error
	}{
		{"/open/file", app, "file", nil},
		{"/open/none", app, "none!", nil},
		{"/open/none/none", app, "", unix.ENOENT},
		{"/open/file/none", app, "", unix.ENOTDIR},
		{"/closed", app, "closed", nil},
		{"/closed/file", app, "", unix.EACCES},
		{"/closed/none", app, "", unix.EACCES},
		{"/closed/file", root, "file", nil},
		{"/closed/below/file", app, "", unix.EACCES},
		{"/closed/../open/file", app, "", unix.EACCES},
		{"/closed/../open/file", root, "file", nil},
		{"/team/file", app, "file", nil},
		{"/team/up/file", app, "file", nil},
		{"/in", app, "", unix.EACCES},
		{"/in", root, "file", nil},
		{"/loop", app, "", unix.ELOOP},
		{"/out", app, "file", nil},
		{"/out", root, "file", nil},
		{"/top/file", app, "file", nil},
		{"/nowhere", app, "none!", nil},
		{"/nowhere", root, "none!", nil},
		{"/../../own/file", app, "file", nil},
		{"/own/.", app, "", nil},
		{"/own/..", app, "", nil},
		{"/", app, "", nil},
		{"//own//file", app, "file", nil},
		{"/own/", app, "own/", nil},
		{"/slash", app, "own/", nil},
		{"/open/" + strings.Repeat("a", 256), app, "", unix.ENAMETOOLONG},
		{"", app, "", unix.ENOENT},
	} {
		e, err := task.find(place{dir: unix.AT_FDCWD, path: c.path, follow: true}, c.who)
		if !errors.Is(err, c.errno) || err == nil != (c.errno == nil) {
			t.Errorf("%q for user %d: %v, want %v", c.path, c.who.uid.fs, err, c.errno)
			continue
		}
		if err != nil {
			continue
		}
		got := e.path()
		if !e.there {
			got += "!"
		}
		if !e.named() {
			got = ""
		}
		if got != c.want {
			t.Errorf("%q for user %d leads to %q, want %q", c.path, c.who.uid.fs, got, c.want)
		}
		e.close()
	}
}

// A call that is about a name does not follow a link there, even if a slash comes after it.
func TestNames(t *testing.T) {
	task := taskIn(t, tree)
	for path, want := range map[string]string{"/in": "in", "/top/": "top/", "/loop": "loop", "/team/up": "up"} {
		e, err := task.findName(place{dir: unix.AT_FDCWD, path: path, follow: true}, User{UID: 1000, GID: 50}.identity())
		if err != nil || e.path() != want || !e.there {
			t.Errorf("%q is %q, %v", path, e.path(), err)
			continue
		}
		e.close()
	}
}

// Names can be taken away by who may write to their directory, in one that is sticky by whose they are.
func TestMayRemove(t *testing.T) {
	task := taskIn(t, func(dir string) error {
		own := filepath.Join(dir, "sticky", "own")
		return errors.Join(tree(dir), os.WriteFile(own, nil, 0o600), give(own, 0o600, record(1000, 1000)))
	})
	for _, c := range []struct {
		path string
		uid  uint32
		want error
	}{
		{"/open/file", 1000, unix.EACCES},
		{"/open/file", 0, nil},
		{"/open/none", 1000, unix.ENOENT},
		{"/own/file", 1000, nil},
		{"/sticky/file", 1000, unix.EPERM},
		{"/sticky/file", 0, nil},
		{"/sticky/own", 1000, nil},
		{"/sticky/own", 1001, unix.EPERM},
	} {
		who := User{UID: c.uid, GID: c.uid}.identity()
		e, err := task.findName(place{dir: unix.AT_FDCWD, path: c.path}, who)
		if err != nil {
			t.Fatal(err)
		}
		if got := task.mayRemove(who, &e); !errors.Is(got, c.want) || got == nil != (c.want == nil) {
			t.Errorf("user %d removing %s: %v, want %v", c.uid, c.path, got, c.want)
		}
		e.close()
	}
}

// No descriptor stays open, whatever comes out.
func TestWalkClosesAll(t *testing.T) {
	task := taskIn(t, tree)
	app := User{UID: 1000, GID: 1000}.identity()
	before := descriptors(t)
	for _, path := range []string{"/open/file", "/open/none", "/closed/file", "/loop", "/out", "/top/file", "/own/..", "/", "/none/none", "/in"} {
		for _, find := range []finding{task.find, task.findName} {
			if e, err := find(place{dir: unix.AT_FDCWD, path: path, follow: true}, app); err == nil {
				e.close()
			}
		}
		if f, err := task.openAs(place{dir: unix.AT_FDCWD, path: path, follow: true}, app); err == nil {
			f.close()
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

//go:build linux

package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mountedTask makes a task with a directory that is to be read and one below it that can be written to.
func mountedTask(t *testing.T) (*task, string) {
	t.Helper()
	dir := t.TempDir()
	err := errors.Join(
		os.MkdirAll(dir+"/around/read/dir", 0o755), os.Mkdir(dir+"/around/read/write", 0o755), os.WriteFile(dir+"/around/read/file", nil, 0o600),
		os.WriteFile(dir+"/around/read/write/file", nil, 0o600), os.WriteFile(dir+"/file", nil, 0o600),
		os.Symlink("/around/read/file", dir+"/link"), unix.Mkfifo(dir+"/around/read/pipe", 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	root := reference(t, dir)
	s := Files(Surroundings{Root: root, RootPath: dir}, FilesOptions{Protect: true, Mounts: []Mount{
		{Target: "/around/read", At: reference(t, dir+"/around/read"), ReadOnly: true},
		{Target: "/around/read/write", At: reference(t, dir+"/around/read/write")},
	}})
	us := notification{pid: uint32(os.Getpid())}
	return &task{Supervisor: s, notification: us, dir: "/proc/self", waits: func() bool { return true }}, dir
}

func reference(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// ask makes a call whose arguments are paths, as strings, and numbers.
func (t *task) ask(call string, args ...any) answer {
	var texts [][]byte
	t.args = [6]uint64{}
	for i, a := range args {
		switch a := a.(type) {
		case string:
			texts = append(texts, append([]byte(a), 0))
			t.args[i] = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(texts[len(texts)-1]))))
		case int:
			t.args[i] = uint64(a)
		}
	}
	got := t.calls[call].answer(t)
	runtime.KeepAlive(texts)
	return got
}

// What would change a mount that is to be read is refused with the error of the kernel; all else goes on.
func TestReadOnlyMounts(t *testing.T) {
	task, dir := mountedTask(t)
	const cwd = unix.AT_FDCWD
	for _, c := range []struct {
		want unix.Errno
		call string
		args []any
	}{
		{unix.EROFS, "openat", []any{cwd, "/around/read/file", unix.O_WRONLY, 0}},
		{unix.EROFS, "openat", []any{cwd, "/around/read/file", unix.O_RDONLY | unix.O_TRUNC, 0}},
		{unix.EROFS, "open", []any{"/link", unix.O_RDWR, 0}},
		{unix.EROFS, "open", []any{"/around/read/none", unix.O_CREAT, 0}},
		{unix.EROFS, "open", []any{"/around/read/dir", unix.O_TMPFILE | unix.O_WRONLY, 0}},
		{unix.EROFS, "creat", []any{"/around/read/write/../file", 0}},
		{0, "openat", []any{cwd, "/around/read/file", unix.O_RDONLY, 0}},
		{0, "openat", []any{cwd, "/around/read/file", unix.O_RDONLY | unix.O_CREAT, 0}},
		{0, "openat", []any{cwd, "/around/read/file", unix.O_WRONLY | unix.O_PATH, 0}},
		{0, "openat", []any{cwd, "/around/read/file", unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, 0}},
		{0, "openat", []any{cwd, "/around/read/pipe", unix.O_WRONLY, 0}},
		{0, "openat", []any{cwd, "/around/read/write/none", unix.O_WRONLY | unix.O_CREAT, 0}},
		{0, "openat", []any{cwd, "/file", unix.O_WRONLY | unix.O_TRUNC, 0}},
		{unix.EROFS, "mkdir", []any{"/around/read/none", 0}},
		{0, "mkdir", []any{"/around/read/dir", 0}},
		{0, "mkdir", []any{"/around/read/none/none", 0}},
		{0, "mkdir", []any{"/around/read/write/none", 0}},
		{unix.EROFS, "symlink", []any{"to", "/around/read/none"}},
		{unix.EROFS, "mknodat", []any{cwd, "/around/read/none", unix.S_IFIFO, 0}},
		{unix.EROFS, "unlink", []any{"/around/read/file"}},
		{unix.EROFS, "unlink", []any{"/around/read/none"}},
		{unix.EBUSY, "rmdir", []any{"/around/read"}},
		{0, "unlink", []any{"/around/read"}},
		{0, "unlinkat", []any{cwd, "/around/read/write/file", 0}},
		{unix.EROFS, "rename", []any{"/around/read/file", "/around/read/none"}},
		{unix.EXDEV, "rename", []any{"/around/read/file", "/none"}},
		{unix.EXDEV, "renameat2", []any{cwd, "/file", cwd, "/around/read/file", 0}},
		{unix.EXDEV, "rename", []any{"/around/read/file", "/around/read/write/none"}},
		{unix.EBUSY, "rename", []any{"/around/read", "/around/none"}},
		{0, "rename", []any{"/around", "/none"}},
		{unix.EROFS, "link", []any{"/file", "/around/read/none"}},
		{unix.EXDEV, "linkat", []any{cwd, "/around/read/file", cwd, "/none", 0}},
		{0, "link", []any{"/file", "/none"}},
		{unix.EROFS, "chmod", []any{"/around/read/file", 0}},
		{unix.EROFS, "fchmodat", []any{cwd, "/around/read/dir", 0}},
		{0, "chmod", []any{"/around/read/write", 0}},
		{unix.EROFS, "chown", []any{"/link", 0, 0}},
		{0, "lchown", []any{"/link", 0, 0}},
		{unix.EROFS, "truncate", []any{"/around/read/file", 0}},
		{0, "truncate", []any{"/around/read/dir", 0}},
		{unix.EROFS, "utimensat", []any{cwd, "/around/read", 0, 0}},
		{unix.EROFS, "setxattr", []any{"/around/read/file", "user.a", "b", 1, 0}},
		{unix.EROFS, "removexattr", []any{"/around/read/file", "user.a"}},
		{unix.EROFS, "access", []any{"/around/read/file", unix.W_OK}},
		{0, "access", []any{"/around/read/file", unix.R_OK}},
		{0, "faccessat2", []any{cwd, "/around/read/write", unix.W_OK, 0}},
	} {
		want := proceed()
		if c.want != 0 {
			want = failure(c.want)
		}
		if got := task.ask(c.call, c.args...); got != want {
			t.Errorf("%s %v: %+v, want %+v", c.call, c.args, got, want)
		}
	}
	// What is around a mount can be moved; the mount goes with it.
	if err := os.Rename(filepath.Join(dir, "around"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if got := task.ask("unlink", "/moved/read/file"); got != failure(unix.EROFS) {
		t.Errorf("unlink in a directory that was moved: %+v", got)
	}
}

// By a descriptor too.
func TestReadOnlyDescriptors(t *testing.T) {
	task, dir := mountedTask(t)
	f, err := os.Open(dir + "/around/read/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd := int(f.Fd())
	for call, args := range map[string][]any{
		"fchmod": {fd, 0}, "fchown": {fd, 0, 0}, "utimensat": {fd, 0, 0, 0}, "fsetxattr": {fd, "user.a", "b", 1, 0},
		"fchownat": {fd, "", 0, 0, unix.AT_EMPTY_PATH},
	} {
		if got := task.ask(call, args...); got != failure(unix.EROFS) {
			t.Errorf("%s: %+v", call, got)
		}
	}
}

// A step without such a mount passes none of these calls on.
func TestUnprotected(t *testing.T) {
	root := reference(t, t.TempDir())
	judged := []string{"mkdir", "unlink", "rename", "chown", "truncate", "utimensat", "setxattr", "access", "link"}
	for _, protect := range []bool{false, true} {
		passed := map[string]bool{}
		for _, c := range Files(Surroundings{Root: root}, FilesOptions{Protect: protect}).Calls() {
			passed[c.Name] = true
		}
		for _, name := range judged {
			if passed[name] != protect {
				t.Errorf("%s is passed on: %v, want %v", name, passed[name], protect)
			}
		}
	}
}

func TestMountTable(t *testing.T) {
	task := &task{Supervisor: &Supervisor{files: FilesOptions{Mounts: []Mount{{Target: "/a b", ReadOnly: true}, {Target: "/c"}}}}}
	for name, want := range map[string][]string{
		"mounts":    {"overlay / overlay rw,relatime 0 0", `overlay /a\040b overlay ro,relatime 0 0`, "overlay /c overlay rw,relatime 0 0", ""},
		"mountinfo": {"1 0 0:1 / / rw,relatime - overlay overlay rw", `2 1 0:2 / /a\040b ro,relatime - overlay overlay rw`, "3 1 0:3 / /c rw,relatime - overlay overlay rw", ""},
	} {
		got, ok := task.staticProc(name)
		if !ok || !slices.Equal(strings.Split(got, "\n"), want) {
			t.Errorf("%s says %q", name, got)
		}
	}
	if text, ok := task.staticProc("status"); ok {
		t.Errorf("status says %q", text)
	}
}

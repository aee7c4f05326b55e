//go:build linux

package snapshot_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/filelock"
	"github.com/seed-298d225e/builder/snapshot"
)

// checkStore checks the store in a directory as another process would.
func checkStore(t *testing.T, dir string, repair bool) []snapshot.Problem {
	t.Helper()
	s, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners()})
	must(t, err)
	_, problems, err := s.Check(t.Context(), repair)
	must(t, cmp(err, s.Close()))
	return problems
}

// unpackIn unpacks an image in a store that is closed then, and returns where its topmost layer is.
func unpackIn(t *testing.T, dir string, d snapshot.Driver, blobs ...v1.Layer) (top string) {
	t.Helper()
	s, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners(), Driver: d})
	must(t, err)
	mounted(t, s, image(t, s, blobs...))
	must(t, s.Close())
	trees, err := filepath.Glob(filepath.Join(dir, "trees", "*"))
	must(t, err)
	first, err := blobs[0].DiffID() // its chain ID
	must(t, err)
	for _, name := range trees {
		if len(blobs) == 1 || filepath.Base(name) != first.Hex {
			return filepath.Join(name, "fs")
		}
	}
	t.Fatalf("the layer is not in %q", trees)
	return ""
}

// Whatever happens to a file of an unpacked layer is found, and the layer can be unpacked again.
func TestDamagedLayers(t *testing.T) {
	for _, d := range []snapshot.Driver{snapshot.DriverOverlay, snapshot.DriverPlain} {
		t.Run(string(d), func(t *testing.T) { testDamagedLayers(t, d) })
	}
}

func testDamagedLayers(t *testing.T, d snapshot.Driver) {
	below := layerOf(t, "d 755 usr", "f 644 usr/old 1", "f 644 old 2", "d 755 opaque", "f 644 opaque/old 3", "d 711 implied")
	layer := layerOf(t, "d 755 usr", "f 644 usr/file content", "h usr/second usr/file", "l usr/link file", "p 622 usr/pipe", "f 4755 usr/tool x",
		"w usr/old", "w old", "d 755 opaque", "o opaque", "f 600 implied/file y", "d 1777 tmp")
	set := func(name string) func(string) error {
		return func(fs string) error { return unix.Lsetxattr(fs+"/"+name, "user.new", []byte("x"), 0) }
	}
	keepTimes := func(name string, change func() error) error {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		return cmp(change(), os.Chtimes(name, info.ModTime(), info.ModTime()))
	}
	in := func(fs, name string, change func() error) error { // the time of the directory alone would tell
		return keepTimes(filepath.Dir(fs+"/"+name), change)
	}
	for _, c := range []struct {
		name   string
		damage func(fs string) error
		want   string
	}{
		{"a byte", func(fs string) error {
			return keepTimes(fs+"/usr/file", func() error { return os.WriteFile(fs+"/usr/file", []byte("Content"), 0) })
		}, "/usr/file: its content was changed"},
		{"a size", func(fs string) error {
			return keepTimes(fs+"/usr/file", func() error { return os.Truncate(fs+"/usr/file", 3) })
		}, "/usr/file: its size was changed: it is 3 and was 7"},
		{"a mode", func(fs string) error { return os.Chmod(fs+"/usr/file", 0o666) }, "/usr/file: its mode was changed: it is 0666 and was 0644"},
		{"setuid", func(fs string) error { return os.Chmod(fs+"/usr/tool", 0o755) }, "/usr/tool: its mode was changed: it is 0755 and was 4755"},
		{"the mode of a directory", func(fs string) error { return os.Chmod(fs+"/implied", 0o755) }, "/implied: its mode was changed: it is 0755 and was 0711"},
		{"the mode of the root", func(fs string) error { return os.Chmod(fs, 0o700) }, "/: its mode was changed: it is 0700 and was 0755"},
		{"an owner", func(fs string) error { return os.Lchown(fs+"/usr/link", 3, 4) }, "/usr/link: its owner was changed: it is 3:4 and was 0:0"},
		{"a time", func(fs string) error { return os.Chtimes(fs+"/tmp", time.Unix(1, 0), time.Unix(1, 0)) }, "/tmp: its time was changed: it is 1970-01-01 00:00:01 +0000 UTC"},
		{"a missing file", func(fs string) error {
			return in(fs, "usr/tool", func() error { return os.Remove(fs + "/usr/tool") })
		}, "/usr/tool: it is missing"},
		{"a missing directory", func(fs string) error {
			return in(fs, "tmp", func() error { return os.Remove(fs + "/tmp") })
		}, "/tmp: it is missing"},
		{"a missing name of a file", func(fs string) error {
			return in(fs, "usr/second", func() error { return os.Remove(fs + "/usr/second") })
		}, "/usr/second: it is missing"},
		{"a copy instead of a link", func(fs string) error {
			return in(fs, "usr/second", func() error {
				return cmp(os.Remove(fs+"/usr/second"), os.WriteFile(fs+"/usr/second", []byte("content"), 0o644))
			})
		}, "/usr/second: it is no longer the same file as /usr/file"},
		{"a target", func(fs string) error {
			return in(fs, "usr/link", func() error { return cmp(os.Remove(fs+"/usr/link"), os.Symlink("else", fs+"/usr/link")) })
		}, `/usr/link: where it leads was changed: it is "else" and was "file"`},
		{"a kind", func(fs string) error {
			return in(fs, "usr/pipe", func() error { return cmp(os.Remove(fs+"/usr/pipe"), os.WriteFile(fs+"/usr/pipe", nil, 0o622)) })
		}, "/usr/pipe: its kind was changed: it is a file and was a FIFO"},
		{"an attribute", set("usr/file"), "/usr/file: its extended attributes were changed"},
		{"an attribute of a directory", set("tmp"), "/tmp: its extended attributes were changed"},
		{"a whiteout", func(fs string) error {
			return in(fs, "old", func() error { return os.Remove(fs + "/old") })
		}, "/old: it is missing"},
		{"a whiteout that became a file", func(fs string) error {
			return in(fs, "old", func() error { return cmp(os.Remove(fs+"/old"), os.WriteFile(fs+"/old", nil, 0o600)) })
		}, "/old: it should hide what is below it, and does not"},
		{"an opaque directory", func(fs string) error { return unix.Lremovexattr(fs+"/opaque", "user.overlay.opaque") }, "/opaque: it should hide what is below it, and does not"},
		{"an additional file", func(fs string) error {
			return in(fs, "usr/new", func() error { return os.WriteFile(fs+"/usr/new", nil, 0o600) })
		}, "/usr/new: it is not in the layer"},
		{"an additional directory", func(fs string) error {
			return in(fs, "new", func() error { return os.Mkdir(fs+"/new", 0o700) })
		}, "/new: it is not in the layer"},
		{"the inventory", func(fs string) error { return os.Truncate(filepath.Dir(fs)+"/inventory", 100) }, "the listing of a layer is damaged"},
		{"all of the inventory", func(fs string) error { return os.Truncate(filepath.Dir(fs)+"/inventory", 0) }, "the listing of a layer is damaged"},
		{"no inventory", func(fs string) error { return os.Remove(filepath.Dir(fs) + "/inventory") }, "it was unpacked by an earlier version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Chmod(dir, 0o700))
			top := unpackIn(t, dir, d, below, layer)
			if problems := checkStore(t, dir, false); len(problems) > 0 {
				t.Fatalf("before there is any: %+v", problems)
			}
			must(t, c.damage(top))
			for _, repair := range []bool{false, true} {
				problems := checkStore(t, dir, repair)
				if len(problems) != 1 || !strings.HasPrefix(problems[0].Text, c.want) || problems[0].Repaired != repair {
					t.Errorf("got %+v, want %q, repaired: %t", problems, c.want, repair)
				}
			}
			unpackIn(t, dir, d, below, layer)
			if problems := checkStore(t, dir, false); len(problems) > 0 {
				t.Errorf("after it was repaired: %+v", problems)
			}
		})
	}
}

// Whatever happens to a file that a layer made here holds is found.
func TestDamagedOwnLayers(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(fs string) error
		want   string
	}{
		"a byte":         {func(fs string) error { return os.WriteFile(fs+"/dir/file", []byte("Content"), 0) }, "/dir/file: its content was changed"},
		"a mode":         {func(fs string) error { return os.Chmod(fs+"/dir/file", 0o666) }, "/dir/file: its mode was changed: it is 0666 and was 0640"},
		"an owner":       {func(fs string) error { return os.Chown(fs+"/dir", 3, 4) }, "/dir: its owner was changed: it is 3:4 and was 0:0"},
		"a target":       {func(fs string) error { return cmp(os.Remove(fs+"/link"), os.Symlink("else", fs+"/link")) }, `/link: where it leads was changed: it is "else" and was "dir"`},
		"a kind":         {func(fs string) error { return cmp(os.Remove(fs+"/link"), os.Mkdir(fs+"/link", 0o777)) }, "/link: its kind was changed: it is a directory and was a symbolic link"},
		"an attribute":   {func(fs string) error { return unix.Lremovexattr(fs+"/dir/file", "user.kept") }, "/dir/file: its extended attributes were changed"},
		"a missing link": {func(fs string) error { return os.Remove(fs + "/link") }, "/link: it is missing"},
		"a missing name": {func(fs string) error { return os.Remove(fs + "/second") }, "/second: it is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Chmod(dir, 0o700))
			s, err := snapshot.Open(dir, snapshot.Options{Owners: snapshot.AllOwners()})
			must(t, err)
			l := change(t, s, nil, func(root string) {
				must(t, cmp(os.Mkdir(root+"/dir", 0o755), os.WriteFile(root+"/dir/file", []byte("content"), 0o640)))
				must(t, cmp(os.Link(root+"/dir/file", root+"/second"), os.Symlink("dir", root+"/link")))
				must(t, unix.Lsetxattr(root+"/dir/file", "user.kept", []byte("x"), 0))
			})
			id, err := l.ContentID()
			must(t, cmp(err, l.Keep(), s.Close()))
			if problems := checkStore(t, dir, false); len(problems) > 0 {
				t.Fatalf("before there is any: %+v", problems)
			}
			must(t, c.damage(filepath.Join(dir, "trees", id.Hex, "fs")))
			if problems := checkStore(t, dir, true); len(problems) != 1 || !strings.HasPrefix(problems[0].Text, c.want) || !problems[0].Repaired {
				t.Errorf("got %+v, want %q", problems, c.want)
			}
			if problems := checkStore(t, dir, false); len(problems) > 0 {
				t.Errorf("after it was repaired: %+v", problems)
			}
		})
	}
}

// What is damaged is removed by one process at a time, like what is pruned: a build waits for the lock if it finds that
// something is not there, and then looks again.
func TestRepairIsAlone(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	top := unpackIn(t, dir, snapshot.DriverAuto, layerOf(t, "f 644 a 1"))
	must(t, os.Chmod(top+"/a", 0o600))
	lock, err := filelock.Block(filepath.Join(dir, "prune.lock"), filelock.Exclusive)
	must(t, err)
	repaired := make(chan []snapshot.Problem)
	go func() {
		defer close(repaired)
		repaired <- checkStore(t, dir, true)
	}()
	select {
	case <-repaired:
		t.Error("it was not waited for whoever prunes")
	case <-time.After(100 * time.Millisecond):
		must(t, lock.Close())
		if problems := <-repaired; len(problems) != 1 || !problems[0].Repaired {
			t.Errorf("got %+v", problems)
		}
	}
}

// What the file system of the store cannot hold as the layer has it is no damage: a time that it does not know, an attribute
// that this user cannot set.
func TestWhatCannotBeKept(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{
		Name: "f", Mode: 0o755, Typeflag: tar.TypeReg, Format: tar.FormatPAX, ModTime: time.Unix(1<<40, 0),
		PAXRecords: map[string]string{"SCHILY.xattr.trusted.mine": "x", "SCHILY.xattr.user.mine": "y"},
	}))
	must(t, w.Close())
	s := openStore(t) // which is checked in the end
	wantLines(t, mounted(t, s, image(t, s, blobOf(t, b.Bytes()))), []string{"f 755 f "})
}

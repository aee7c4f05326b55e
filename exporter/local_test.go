package exporter

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"
)

// onDisk says what is below a directory, one line for each name. Links are not followed.
func onDisk(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s", info.Mode(), rel)
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line = fmt.Sprintf("L %s -> %s", rel, target)
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func wantOnDisk(t *testing.T, root string, want ...string) {
	t.Helper()
	if got := onDisk(t, root); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func writeLocal(t *testing.T, o Local, layers ...[]tar.Header) Written {
	t.Helper()
	var all []v1.Layer
	for _, l := range layers {
		all = append(all, layerOf(t, l...))
	}
	w, err := o.Write(t.Context(), Result{Images: []Built{{Image: newImage(t, testConfig(), all, Options{}), Platform: amd64}}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestLocal(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "a", "b")
	modified := time.Date(2001, 2, 3, 4, 5, 6, 700, time.UTC)
	old := func(h *tar.Header) { h.ModTime, h.Format = modified, tar.FormatPAX }
	w := writeLocal(t, Local{Dir: dest}, []tar.Header{
		with(dir("bin"), func(h *tar.Header) { old(h); h.Mode = 0o555 }), with(file("bin/tool", "content"), func(h *tar.Header) { old(h); h.Mode = 0o755 }),
		link("bin/hard", "bin/tool"), with(symlink("sh", "bin/tool"), old),
		{Typeflag: tar.TypeFifo, Name: "fifo", Mode: 0o640},
		file("empty", ""),
	})
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dest, "bin"), 0o755) })
	wantOnDisk(t, dest, "dr-xr-xr-x bin", "-rwxr-xr-x bin/hard content", "-rwxr-xr-x bin/tool content", "-rw-r--r-- empty ", "prw-r----- fifo", "L sh -> bin/tool")
	if len(w.Notes) > 0 || len(w.Names) > 0 || w.Descriptor.Digest != (v1.Hash{}) {
		t.Errorf("got %+v", w)
	}
	for _, name := range []string{"bin", "bin/tool", "sh"} {
		info, err := os.Lstat(filepath.Join(dest, name))
		if err != nil || !info.ModTime().Equal(modified) {
			t.Errorf("%s is of %v, %v", name, info.ModTime(), err)
		}
	}
	a, _ := os.Stat(filepath.Join(dest, "bin/hard"))
	b, _ := os.Stat(filepath.Join(dest, "bin/tool"))
	if !os.SameFile(a, b) {
		t.Errorf("a hard link is a copy")
	}
	// Once more into the same place, which has a directory that is not writable.
	writeLocal(t, Local{Dir: dest}, []tar.Header{file("bin/tool", "new"), file("sh", "now a file")})
	wantOnDisk(t, dest, "drwxr-xr-x bin", "-rwxr-xr-x bin/hard content", "-rw-r--r-- bin/tool new", "-rw-r--r-- empty ", "prw-r----- fifo", "-rw-r--r-- sh now a file")
}

// Files from before stay, unless they are in the way or mode=delete says otherwise.
func TestLocalModes(t *testing.T) {
	for _, remove := range []bool{false, true} {
		dest := t.TempDir()
		writeLocal(t, Local{Dir: dest}, []tar.Header{file("keep", "1"), file("d/keep", "1"), file("gone/x/y", "1"), file("was-file", "1"), file("was-dir/x", "1"), symlink("dangling", "nowhere")})
		writeLocal(t, Local{Dir: dest, Delete: remove}, []tar.Header{file("d/new", "2"), file("was-file/x", "2"), file("was-dir", "2")})
		want := []string{"drwxr-xr-x d", "-rw-r--r-- d/new 2", "-rw-r--r-- was-dir 2", "drwxr-xr-x was-file", "-rw-r--r-- was-file/x 2"}
		if !remove {
			want = []string{
				"drwxr-xr-x d", "-rw-r--r-- d/keep 1", "-rw-r--r-- d/new 2", "L dangling -> nowhere", "drwxr-xr-x gone", "drwxr-xr-x gone/x", "-rw-r--r-- gone/x/y 1",
				"-rw-r--r-- keep 1", "-rw-r--r-- was-dir 2", "drwxr-xr-x was-file", "-rw-r--r-- was-file/x 2",
			}
		}
		wantOnDisk(t, dest, want...)
	}
}

// c-local-out: links that are planted in the destination are replaced and never followed.
func TestLocalPlantedLinks(t *testing.T) {
	for _, remove := range []bool{false, true} {
		canary, dest := t.TempDir(), t.TempDir()
		if err := os.WriteFile(filepath.Join(canary, "secret"), []byte("untouched"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := onDisk(t, canary)
		for name, target := range map[string]string{
			"dir": canary, "file": filepath.Join(canary, "secret"), "sub": "../" + filepath.Base(canary), "linux_amd64": canary, "link": canary, "fifo": filepath.Join(canary, "new"),
		} {
			if err := os.Symlink(target, filepath.Join(dest, name)); err != nil {
				t.Fatal(err)
			}
		}
		entries := []tar.Header{
			file("dir/secret", "pwned"), file("file", "pwned"), with(dir("sub"), func(h *tar.Header) { h.Mode = 0o777 }), symlink("link", "elsewhere"),
			{Typeflag: tar.TypeFifo, Name: "fifo", Mode: 0o600},
			file("a", "1"), link("dir/hard", "a"),
		}
		writeLocal(t, Local{Dir: dest, Delete: remove}, entries)
		split := true
		writeLocal(t, Local{Dir: dest, Delete: remove, Files: Files{Split: &split}}, entries)
		if after := onDisk(t, canary); !slices.Equal(before, after) {
			t.Errorf("the canary was %q and is %q", before, after)
		}
		for _, line := range onDisk(t, dest) {
			if strings.Contains(line, canary) {
				t.Errorf("a planted link is still there: %s", line)
			}
		}
	}
}

// c-local-sym: links in the image that lead out are written as they are, and nothing is written through them.
func TestLocalHostileImage(t *testing.T) {
	canary, dest := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(canary, "secret"), []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := onDisk(t, canary)
	writeLocal(t, Local{Dir: dest, Delete: true}, []tar.Header{
		symlink("abs", canary), file("abs/secret", "pwned"),
		symlink("climb", strings.Repeat("../", 30)+canary[1:]), file("climb/new", "pwned"),
	}, []tar.Header{
		symlink("d", canary), dir("d"), file("d/x", "1"), // a link that becomes a directory
		file("climb/.wh.secret", ""), file("abs/.wh..wh..opq", ""),
	})
	if after := onDisk(t, canary); !slices.Equal(before, after) {
		t.Errorf("the canary was %q and is %q", before, after)
	}
	if content, err := os.ReadFile(filepath.Join(dest, "d", "x")); err != nil || string(content) != "1" {
		t.Errorf("got %q, %v", content, err)
	}
}

// The same image goes into one directory again and again with the same result.
func TestLocalTwice(t *testing.T) {
	dest := t.TempDir()
	entries := []tar.Header{file("a", "1"), link("b", "a"), link("c/d", "a"), symlink("s", "a"), link("t", "s"), dir("e")}
	writeLocal(t, Local{Dir: dest}, entries)
	before := onDisk(t, dest)
	writeLocal(t, Local{Dir: dest}, entries)
	wantOnDisk(t, dest, before...)
	if slices.ContainsFunc(before, func(s string) bool { return strings.Contains(s, ".builder") }) {
		t.Errorf("this is left: %q", before)
	}
}

// What an ordinary user cannot have is counted, and a file does not run as somebody else than in the image.
func TestLocalNotes(t *testing.T) {
	dest := t.TempDir()
	owned := func(h *tar.Header) { h.Uid, h.Gid, h.Mode = 12345, 12345, 0o4755 }
	bad := file("bad", "1")
	bad.PAXRecords = map[string]string{"SCHILY.xattr.unknown.namespace": "x"}
	w := writeLocal(t, Local{Dir: dest}, []tar.Header{
		with(file("a", "1"), owned), with(file("b", "2"), owned), {Typeflag: tar.TypeBlock, Name: "sda", Devmajor: 8}, {Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}, bad,
	})
	want := []string{
		"2 of the files belong to another user in the image", "2 of the files are devices in the image and were left out",
		"2 of the files run as another user or group in the image and do not here", "1 of the files have extended attributes in the image that cannot be set here",
	}
	if !slices.Equal(w.Notes, want) {
		t.Errorf("got %q, want %q", w.Notes, want)
	}
	wantOnDisk(t, dest, "-rwxr-xr-x a 1", "-rwxr-xr-x b 2", "-rw-r--r-- bad 1")
}

// Where the system lets us, owners and their bits are kept if that is asked for; else it is as if it were not.
func TestLocalOwners(t *testing.T) {
	dest := t.TempDir()
	w := writeLocal(t, Local{Dir: dest, Owners: true}, []tar.Header{
		with(file("a", "1"), func(h *tar.Header) { h.Uid, h.Gid, h.Mode = 12345, 12345, 0o4755 }),
		with(symlink("s", "a"), func(h *tar.Header) { h.Uid = 12345 }),
	})
	info, err := os.Stat(filepath.Join(dest, "a"))
	if err != nil {
		t.Fatal(err)
	}
	st, _ := info.Sys().(*unix.Stat_t)
	kept := info.Mode()&fs.ModeSetuid != 0
	if kept != (len(w.Notes) == 0) {
		t.Errorf("the mode is %s, and the notes are %q (%v)", info.Mode(), w.Notes, st)
	}
}

// t-times: times that cannot be set do not fail the output.
func TestLocalTimes(t *testing.T) {
	dest := t.TempDir()
	var entries []tar.Header
	for i, sec := range []int64{0, -1, -1 << 31, 1<<31 + 5, 1<<32 + 5, 1 << 33} {
		entries = append(entries, with(file(fmt.Sprint("f", i), "1"), func(h *tar.Header) { h.ModTime, h.Format = time.Unix(sec, 0), tar.FormatPAX }))
	}
	writeLocal(t, Local{Dir: dest}, entries)
}

// Every layer is read before anything is written: one that is wrong changes nothing.
func TestLocalFailure(t *testing.T) {
	dest := t.TempDir()
	writeLocal(t, Local{Dir: dest}, []tar.Header{file("a", "old")})
	for _, entries := range [][]tar.Header{
		{file("a", "new"), file("../x", "1")},
		{file("a", "new"), link("b", "none")},
	} {
		img := newImage(t, testConfig(), []v1.Layer{layerOf(t, entries...)}, Options{})
		if _, err := (Local{Dir: dest, Delete: true}).Write(t.Context(), Result{Images: []Built{{Image: img, Platform: amd64}}}); err == nil {
			t.Errorf("this was written: %v", entries)
		}
	}
	wantOnDisk(t, dest, "-rw-r--r-- a old")
	if _, err := (Local{Dir: filepath.Join(dest, "a")}).Write(t.Context(), single(t)); err == nil {
		t.Errorf("files were written into a file")
	}
	img := newImage(t, testConfig(), []v1.Layer{layerOf(t, file(strings.Repeat("x", 300), "1"))}, Options{})
	_, err := (Local{Dir: dest}).Write(t.Context(), Result{Images: []Built{{Image: img, Platform: amd64}}})
	if !errors.Is(err, unix.ENAMETOOLONG) || strings.Count(err.Error(), "xxx") > 200 {
		t.Errorf("got %v", err)
	}
	wantOnDisk(t, dest, "-rw-r--r-- a old")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Local{Dir: dest}).Write(ctx, Result{Images: []Built{{Image: img, Platform: amd64}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLocalPlatforms(t *testing.T) {
	dest := t.TempDir()
	r := Result{Images: []Built{files(t, amd64, file("a", "1")), files(t, v1.Platform{OS: "linux", Architecture: "arm64"}, file("a", "2"))}}
	if _, err := (Local{Dir: dest}).Write(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	wantOnDisk(t, dest, "drwxr-xr-x linux_amd64", "-rw-r--r-- linux_amd64/a 1", "drwxr-xr-x linux_arm64", "-rw-r--r-- linux_arm64/a 2")
}

// A directory that its owner may not read or write is written into and removed all the same.
func TestLocalUnwritableDirectories(t *testing.T) {
	dest := t.TempDir()
	writeLocal(t, Local{Dir: dest}, []tar.Header{file("d/a", "1"), file("gone/a", "1")})
	for _, name := range []string{"d", "gone"} {
		if err := os.Chmod(filepath.Join(dest, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	writeLocal(t, Local{Dir: dest, Delete: true}, []tar.Header{file("d/b", "2")})
	wantOnDisk(t, dest, "drwxr-xr-x d", "-rw-r--r-- d/b 2")
}

// Zeros are not written to the spool, and come back as zeros.
func TestSpool(t *testing.T) {
	s := testSpool(t)
	contents := [][]byte{[]byte("first"), make([]byte, 1<<20), append(make([]byte, 100<<10), 'x'), nil, make([]byte, 5)}
	var extents []extent
	for _, c := range contents {
		e, err := s.add(bytes.NewReader(c), int64(len(c)))
		if err != nil {
			t.Fatal(err)
		}
		extents = append(extents, e)
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
	for i, e := range extents {
		var b bytes.Buffer
		if err := s.copy(&b, e); err != nil || !bytes.Equal(b.Bytes(), contents[i]) {
			t.Errorf("content %d: %v", i, err)
		}
	}
	if _, err := s.add(strings.NewReader("short"), 10); err == nil {
		t.Errorf("five bytes were taken for ten")
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(s.file.Fd()), &st); err != nil || st.Blocks*512 > 600<<10 {
		t.Errorf("the spool takes %d bytes, %v", st.Blocks*512, err)
	}
	if _, err := newSpool(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Errorf("there is a spool without a directory")
	}
}

func TestWriteFile(t *testing.T) {
	dest := t.TempDir()
	img := newImage(t, testConfig(), randomLayers(t, types.OCILayer), Options{})
	path := filepath.Join(dest, "x.tar")
	if _, err := (Archive{Path: path}).Write(t.Context(), Result{Images: []Built{{Image: img, Platform: amd64}}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("got %v, %v", info, err)
	}
}

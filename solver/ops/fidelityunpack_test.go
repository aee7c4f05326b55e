//go:build linux

package ops

import (
	"archive/tar"
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// An archive is extracted beside what is there, whatever it is compressed with.
func TestUnpackFidelity(t *testing.T) {
	archive := packed(t, "f644 9:9 dir/sub/file x\nl dir/link /etc\nd700 9:9 top\n")
	const base = "d700 3:4 to\nd711 3:4 to/dir"
	const want = "d700 3:4 to\nd711 3:4 to/dir\nl to/dir/link /etc\nd755 0:0 to/dir/sub new\nf644 9:9 to/dir/sub/file x\nd700 9:9 to/top\n"
	for _, compressor := range []string{"cat", "gzip", "bzip2", "xz", "zstd"} {
		t.Run(compressor, func(t *testing.T) {
			program, err := exec.LookPath(compressor)
			if err != nil {
				t.Skipf("%s is not installed", compressor)
			}
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Stdin = bytes.NewReader(archive)
			compressed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t, base)
			s := source("/archive")
			s.Unpack = true
			files := solver.Tree{Local: &solver.Files{Inline: []solver.InlineFile{{Path: "archive", Mode: 0o644, Data: compressed}}}}
			got, err := b.run(solver.Copy{Dest: "/to", Mode: "777", Sources: []solver.CopySource{s}}, files)
			if err != nil || got != want {
				t.Errorf("got %v\n%swant\n%s", err, got, want)
			}
			got, err = b.run(solver.Copy{Dest: "/to", Owner: "1:2", Sources: []solver.CopySource{s}}, files)
			if owned := strings.ReplaceAll(want, "9:9", "1:2"); err != nil || got != owned {
				t.Errorf("with an owner: got %v\n%swant\n%s", err, got, owned)
			}
		})
	}
}

// A directory that an archive only implies takes over the setgid bit, as mkdir would have it.
func TestUnpackSetgid(t *testing.T) {
	files := solver.Tree{Local: &solver.Files{Inline: []solver.InlineFile{{
		Path: "archive", Mode: 0o644, Data: packed(t, "f644 0:0 a/b/c x\nd755 0:0 told\nf644 0:0 told/a/b x\n"),
	}}}}
	s := source("/archive")
	s.Unpack = true
	got, err := newBench(t, "d2775 5:6 to").run(solver.Copy{Dest: "/to", Sources: []solver.CopySource{s}}, files)
	const want = "d2775 5:6 to\nd2755 0:0 to/a new\nd2755 0:0 to/a/b new\nf644 0:0 to/a/b/c x\n" +
		"d755 0:0 to/told\nd755 0:0 to/told/a new\nf644 0:0 to/told/a/b x\n"
	if err != nil || got != want {
		t.Errorf("got %v\n%swant\n%s", err, got, want)
	}
}

// packed returns a tar archive.
func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries(t, text) {
		h := &tar.Header{Name: e.Path, Mode: int64(e.Mode), Uid: int(e.UID), Gid: int(e.GID), ModTime: past, Linkname: e.Link, Size: e.Size}
		h.Typeflag = map[snapshot.Kind]byte{snapshot.Directory: tar.TypeDir, snapshot.Symlink: tar.TypeSymlink, snapshot.Regular: tar.TypeReg}[e.Kind]
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.Open == nil {
			continue
		}
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An archive that cannot be decompressed in bounded memory is an error, and not a file that is copied.
func TestUnpackGreedy(t *testing.T) {
	for _, args := range [][]string{{"xz", "--lzma2=dict=256MiB"}, {"zstd", "--long=31", "--ultra", "--single-thread", "--no-check"}} {
		t.Run(args[0], func(t *testing.T) {
			program, err := exec.LookPath(args[0])
			if err != nil {
				t.Skipf("%s is not installed", args[0])
			}
			cmd := exec.CommandContext(t.Context(), program, args[1:]...)
			cmd.Stdin = bytes.NewReader(packed(t, "f644 0:0 file x\n"))
			compressed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			s := source("/archive")
			s.Unpack = true
			files := solver.Tree{Local: &solver.Files{Inline: []solver.InlineFile{{Path: "archive", Mode: 0o644, Data: compressed}}}}
			got, err := newBench(t, "").run(solver.Copy{Dest: "/to/", Sources: []solver.CopySource{s}}, files)
			if err == nil || !strings.Contains(err.Error(), "decompressing archive") {
				t.Errorf("got %v\n%s", err, got)
			}
		})
	}
}

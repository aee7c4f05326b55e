//go:build linux

package fetch

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// pack returns a tar archive of entries. What a header does not say is as tar(1) would have it.
func pack(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := h.Linkname
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			h.Typeflag, h.Size, h.Linkname = tar.TypeReg, int64(len(content)), ""
		}
		if h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = cmp.Or(h.Mode, 0o644)
			h.ModTime = cmp.Or(h.ModTime, modified)
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file, dir, link and hard are entries of an archive. The content of a file stands in Linkname.
func file(name, content string) tar.Header { return tar.Header{Name: name, Linkname: content} }

func dir(name string, mode int64) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: mode}
}

func link(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
}

func hard(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}
}

// tree prints everything below dir: mode, path, and content or target.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%v %s", info.Mode(), name[len(dir)+1:])
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(name)
			fmt.Fprintf(&b, " -> %s\n", to)
			return err
		case e.Type().IsRegular():
			content, err := os.ReadFile(name)
			fmt.Fprintf(&b, " %q\n", content)
			return err
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// restrictUmask sets a umask that lets nobody else read anything.
func restrictUmask(t *testing.T) {
	t.Helper()
	old := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(old) })
}

func TestArchive(t *testing.T) {
	restrictUmask(t)
	to := t.TempDir()
	archive := pack(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "from git archive"}},
		dir("./", 0o700), dir("d/", 0o555), file("d/f", "content"),
		tar.Header{Name: "run", Mode: 0o4755, Linkname: "#!"}, link("l", "d/f"), hard("h", "d/f"), hard("hl", "l"),
		file("/abs/f", "x"), file("made/by/path", ""),
		tar.Header{Name: "fifo", Typeflag: tar.TypeFifo}, tar.Header{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		file("twice", "one"), file("twice", "two"), file("flip", "x"), dir("flip", 0o755), link("flip2", "x"), file("flip2", "y"),
	)
	if err := Archive(t.Context(), bytes.NewReader(archive), to); err != nil {
		t.Fatal(err)
	}
	want := `drwxr-xr-x abs
-rw-r--r-- abs/f "x"
dr-xr-xr-x d
-rw-r--r-- d/f "content"
drwxr-xr-x flip
-rw-r--r-- flip2 "y"
-rw-r--r-- h "content"
Lrwxrwxrwx hl -> d/f
Lrwxrwxrwx l -> d/f
drwxr-xr-x made
drwxr-xr-x made/by
-rw-r--r-- made/by/path ""
urwxr-xr-x run "#!"
-rw-r--r-- twice "two"
`
	if got := tree(t, to); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, name := range []string{"d", "d/f", "l"} {
		if info, err := os.Lstat(filepath.Join(to, name)); err != nil || !info.ModTime().Equal(modified) {
			t.Errorf("%s: got %v, %v", name, info.ModTime(), err)
		}
	}
}

func TestCompressions(t *testing.T) {
	plain := pack(t, file("file", "content"))
	compress := func(w io.WriteCloser, err error) {
		t.Helper()
		if err == nil {
			_, err = w.Write(plain)
		}
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	var g, z bytes.Buffer
	compress(gzip.NewWriter(&g), nil)
	compress(zstd.NewWriter(&z))
	skippable := append([]byte{0x5a, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x'}, z.Bytes()...)
	for name, archive := range map[string][]byte{
		"none": plain, "gzip": g.Bytes(), "two members": append(bytes.Clone(g.Bytes()), gzipOf(t, "")...), "xz": decoded(t, xzArchive),
		"zstd": z.Bytes(), "skippable": skippable, "bzip2": decoded(t, bzippedArchive),
	} {
		if !IsArchive(archive[:min(len(archive), PeekSize)]) {
			t.Errorf("%s: not taken for an archive", name)
		}
		to := t.TempDir()
		if err := Archive(t.Context(), bytes.NewReader(archive), to); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, want := tree(t, to), "-rw-r--r-- file \"content\"\n"; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		cut := archive[:len(archive)/5]
		if err := Archive(t.Context(), bytes.NewReader(cut), t.TempDir()); err == nil {
			t.Errorf("%s: no error for an archive that was cut", name)
		}
	}
}

func decoded(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gzipOf(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestIsNoArchive(t *testing.T) {
	for _, s := range []string{
		"", "FROM scratch\n", "# syntax=docker/dockerfile:1\nFROM alpine\n", "\x1f\x8b", "BZ", strings.Repeat("\x00", 1024),
		strings.Repeat("RUN true\n", 200)[:PeekSize],
	} {
		if IsArchive([]byte(s)) {
			t.Errorf("%q is taken for an archive", shorten(s))
		}
	}
}

// Whatever an archive holds, nothing changes outside of the directory.
func TestHostileArchives(t *testing.T) {
	for name, tt := range map[string]struct {
		entries []tar.Header
		want    string // of the error; "" if there is none
	}{
		"dotdot":              {[]tar.Header{file("../canary/pwn", "x")}, "leads out of the archive"},
		"dotdot inside":       {[]tar.Header{file("a/../../canary/pwn", "x")}, "leads out of the archive"},
		"through link":        {[]tar.Header{link("a", "../canary"), file("a/pwn", "x")}, ""},
		"through absolute":    {[]tar.Header{link("a", "CANARY"), file("a/pwn", "x")}, ""},
		"directory over link": {[]tar.Header{link("a", "../canary"), dir("a", 0o700), file("a/pwn", "x")}, ""},
		"mode through link":   {[]tar.Header{dir("a", 0o700), {Name: "a", Typeflag: tar.TypeSymlink, Linkname: "CANARY"}}, ""},
		"file over link":      {[]tar.Header{link("a", "CANARY/secret"), file("a", "x")}, ""},
		"hard link out":       {[]tar.Header{hard("a", "../canary/secret")}, "leads out of the archive"},
		"hard link absolute":  {[]tar.Header{hard("a", "CANARY/secret")}, "linking to"},
		"hard through link":   {[]tar.Header{link("l", "../canary"), hard("a", "l/secret")}, "linking to"},
		"hard to link":        {[]tar.Header{link("l", "CANARY/secret"), hard("a", "l"), file("a", "x")}, ""},
		"hard to nothing":     {[]tar.Header{hard("a", "b")}, "not in the archive"},
		"hard to itself":      {[]tar.Header{file("a", "x"), hard("a", "a")}, "a link to itself"},
		"hard to directory":   {[]tar.Header{dir("d", 0o755), hard("a", "d")}, "linking to"},
		"loop":                {[]tar.Header{link("a", "b"), link("b", "a"), file("a/x", "x")}, "too many levels"},
		"unknown type":        {[]tar.Header{{Name: "z", Typeflag: 'Z'}}, `type "Z"`},
		"file over directory": {[]tar.Header{file("d/x", ""), file("d", "")}, "directory not empty"},
		"below a file":        {[]tar.Header{file("f", ""), file("f/x", "")}, "not a directory"},
		"long name":           {[]tar.Header{file(strings.Repeat("x", 256), "")}, "name too long"},
		"deep":                {[]tar.Header{file(strings.Repeat("d/", 5000)+"f", "")}, "more than 4096 directories"},
		"root is a link":      {[]tar.Header{link("./", "CANARY"), file("x", "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			canary, to := filepath.Join(base, "canary"), filepath.Join(base, "to")
			for _, d := range []string{canary, to} {
				if err := os.Mkdir(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(canary, "secret"), []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			before := fmt.Sprint(fingerprint(canary))
			for i := range tt.entries {
				tt.entries[i].Linkname = strings.ReplaceAll(tt.entries[i].Linkname, "CANARY", canary)
			}
			err := Archive(t.Context(), bytes.NewReader(pack(t, tt.entries...)), to)
			if tt.want != "" {
				wantError(t, err, tt.want)
			} else if err != nil {
				t.Error(err)
			}
			if after := fmt.Sprint(fingerprint(canary)); after != before {
				t.Errorf("the canary has changed:\n%s", tree(t, canary))
			}
		})
	}
}

func TestArchiveLimits(t *testing.T) {
	for want, most := range map[string]limits{
		"too large":        {size: 10, entries: 10, depth: 10},
		"too many entries": {size: 100, entries: 1, depth: 10},
	} {
		err := unpack(t.Context(), bytes.NewReader(pack(t, file("a", "123456"), file("b", "123456"))), t.TempDir(), most)
		wantError(t, err, want)
	}
}

func TestArchiveCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Archive(ctx, bytes.NewReader(pack(t, file("a", ""))), t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Blocks of zeros take no room.
func TestHoles(t *testing.T) {
	to := t.TempDir()
	content := strings.Repeat("\x00", 8<<20) + "end"
	if err := Archive(t.Context(), bytes.NewReader(pack(t, file("f", content))), to); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(to, "f"))
	if err != nil || info.Size() != int64(len(content)) {
		t.Fatal(info, err)
	}
	if blocks := info.Sys().(*syscall.Stat_t).Blocks; blocks > 1000 {
		t.Errorf("it takes %d blocks", blocks)
	}
}

// A stream that expands without end is given up.
func TestExpansion(t *testing.T) {
	e := &expansion{
		ReadCloser: io.NopCloser(strings.NewReader("xxxx")), compressed: &counter{n: 1 << 10}, n: muchExpanded,
	}
	_, err := io.ReadAll(e)
	wantError(t, err, "more than 1000 times")
}

func TestNewest(t *testing.T) {
	old := modified.Add(-time.Hour)
	archive := pack(t,
		tar.Header{Name: "a", ModTime: old}, tar.Header{Name: "b", ModTime: modified},
		tar.Header{Name: "d", Typeflag: tar.TypeDir, ModTime: modified.Add(time.Hour)},
	)
	got, err := Newest(bytes.NewReader(archive))
	if err != nil || got == nil || !got.Equal(modified) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := Newest(bytes.NewReader(pack(t, dir("d", 0o755)))); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = Newest(strings.NewReader("not an archive, but long enough" + strings.Repeat(".", 512)))
	wantError(t, err, "reading the archive")
}

func TestUnpack(t *testing.T) {
	archive := gzipOf(t, string(pack(t, file("Dockerfile", "FROM scratch"))))
	s := serve(t, bytesHandler(archive))
	store := t.TempDir()
	var dirs []string
	for range 2 {
		h := newHTTP(t, store)
		got, ok, err := h.Unpack(t.Context(), fetch(t, h, Request{URL: s.URL, Filename: "context"}))
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if got, want := tree(t, got), "-rw-r--r-- Dockerfile \"FROM scratch\"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		dirs = append(dirs, got)
	}
	if dirs[0] != dirs[1] {
		t.Errorf("unpacked twice: %q", dirs)
	}
	h := newHTTP(t, store)
	plain := serve(t, bytesHandler([]byte("FROM scratch\n")))
	if _, ok, err := h.Unpack(t.Context(), fetch(t, h, Request{URL: plain.URL})); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	broken := serve(t, bytesHandler(archive[:40]))
	_, _, err := h.Unpack(t.Context(), fetch(t, h, Request{URL: broken.URL, Filename: "context"}))
	wantError(t, err, "unpacking context", "unexpected EOF")
	wantNoDrafts(t, store)
}

// Whatever the bytes, nothing outside of the directory changes.
func FuzzArchive(f *testing.F) {
	f.Add(pack(f, file("a", "x"), link("l", "../canary"), file("l/x", "y"), hard("h", "a"), dir("d", 0o500)))
	f.Add(pack(f, file("../canary/x", "x")))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		base := t.TempDir()
		canary, to := filepath.Join(base, "canary"), filepath.Join(base, "to")
		for _, d := range []string{canary, to} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		before := fmt.Sprint(fingerprint(canary))
		_ = unpack(t.Context(), bytes.NewReader(archive), to, limits{size: 1 << 20, entries: 100, depth: 64})
		if after := fmt.Sprint(fingerprint(canary)); after != before {
			t.Errorf("the canary has changed:\n%s", tree(t, canary))
		}
		if err := removeTree(to); err != nil {
			t.Error(err)
		}
	})
}

// bzippedArchive is an archive of one file, compressed with bzip2, which the standard library only reads.
const bzippedArchive = "QlpoOTFBWSZTWbVAHMIAAG57gMmAAAhAAEeAAARrJZ4ABAggAFRCAIZoE2hoJKZTR6mjQAB9pEOhB5NCEULitImgRIJR2zOks3Q0BUBrSWEkNdsnjetJxFIQiIB0XckU4UJC1QBzCA=="

// xzArchive is the same archive, compressed with xz.
const xzArchive = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Cf/AFldADMaSda2OCGvAe5uBXM7wPyAzzewSHXXazzHXxxl/cA2wVHQ+BXRkuXrItje7+W6FXpH63pHXsCexOsMnEmvK3GtstcBjPLqsYQ2yobxeEUM7Xpw7SsYl8oAAAAAAMwe8tP3ZgtiAAF1gFAAAACf91HiscRn+wIAAAAABFla"

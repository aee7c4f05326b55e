//go:build linux

package snapshot

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-298d225e/builder/inflate"
)

// The layer that the benchmarks work on: files of the size of source files in some directories.
const (
	benchDirs  = 40
	benchFiles = 2000
	benchSize  = 6 << 10
)

// benchLayer returns it as an archive.
func benchLayer(b *testing.B) []byte {
	b.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	write := func(h *tar.Header, content []byte) {
		h.ModTime = time.Unix(1700000000, 0)
		if err := w.WriteHeader(h); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			b.Fatal(err)
		}
	}
	for d := range benchDirs {
		write(&tar.Header{Typeflag: tar.TypeDir, Name: fmt.Sprintf("d%02d/", d), Mode: 0o755}, nil)
		for f := range benchFiles / benchDirs {
			var content []byte
			for i := 0; len(content) < benchSize; i++ {
				content = fmt.Appendf(content, "line %d of file %d in directory %d\n", i*i%977, f, d)
			}
			write(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("d%02d/f%d", d, f), Mode: 0o644, Size: int64(len(content))}, content)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return archive.Bytes()
}

// benchOwners lets files belong to who runs the benchmark.
func benchOwners() Owners {
	everybody := []IDRange{{First: 0, Count: 1 << 16}}
	return Owners{UIDs: everybody, GIDs: everybody}
}

// benchTree unpacks the layer.
func benchTree(b *testing.B, archive []byte) *os.File {
	b.Helper()
	dir, err := openDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { dir.Close() })
	if _, err := writeDir(dir, benchOwners(), ReadTar(bytes.NewReader(archive), Unix), nil); err != nil {
		b.Fatal(err)
	}
	return dir
}

// Unpacking a layer, as entries alone and with the inventory that the layers of images get.
func BenchmarkUnpack(b *testing.B) {
	archive := benchLayer(b)
	b.Run("noted", func(b *testing.B) { benchUnpack(b, archive, true) })
	b.Run("not noted", func(b *testing.B) { benchUnpack(b, archive, false) })
}

func benchUnpack(b *testing.B, archive []byte, noted bool) {
	b.Helper()
	if os.Geteuid() != 0 {
		b.Skip("files are given to root, which takes root")
	}
	b.SetBytes(int64(len(archive)))
	for n := 0; b.Loop(); n++ {
		tree := filepath.Join(b.TempDir(), fmt.Sprint(n))
		dir, err := makeTree(tree)
		if err != nil {
			b.Fatal(err)
		}
		var list *inventory
		if noted {
			if list, err = newInventory(tree); err != nil {
				b.Fatal(err)
			}
		}
		if _, err = writeNoted(dir, benchOwners(), ReadTar(bytes.NewReader(archive), Unix), list); err == nil && noted {
			err = cmp.Or(list.finish(dir), list.file.Close())
		}
		if err != nil {
			b.Fatal(err)
		}
		dir.Close()
	}
}

// All files were touched, one was changed.
func BenchmarkDiff(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("files are given to root, which takes root")
	}
	archive := benchLayer(b)
	below, upper := benchTree(b, archive), benchTree(b, archive)
	if err := os.WriteFile(filepath.Join(upper.Name(), "d00", "f0"), []byte("changed"), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(archive)))
	for b.Loop() {
		n := 0
		for _, err := range Diff(NewDir(upper), NewView(NewDir(below))) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n == 0 || n > benchDirs {
			b.Fatalf("got %d changes", n)
		}
	}
}

func BenchmarkTar(b *testing.B) {
	archive := benchLayer(b)
	b.SetBytes(int64(len(archive)))
	for b.Loop() {
		if err := WriteTar(io.Discard, ReadTar(bytes.NewReader(archive), Unix), Unix); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompress(b *testing.B) {
	archive := benchLayer(b)
	b.SetBytes(int64(len(archive)))
	for b.Loop() {
		z := newGzipWriter(io.Discard, gzipLevel)
		if _, err := z.Write(archive); err != nil {
			b.Fatal(err)
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecompress(b *testing.B) {
	archive := benchLayer(b)
	var packed bytes.Buffer
	z := newGzipWriter(&packed, gzipLevel)
	_, _ = z.Write(archive)
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(archive)))
	for b.Loop() {
		r, err := inflate.NewReader(bytes.NewReader(packed.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

// The content ID of a layer whose files have not been read.
func BenchmarkHash(b *testing.B) {
	archive := benchLayer(b)
	b.SetBytes(int64(len(archive)))
	for b.Loop() {
		if _, err := ContentID(ReadTar(bytes.NewReader(archive), Unix), Unix); err != nil {
			b.Fatal(err)
		}
	}
}

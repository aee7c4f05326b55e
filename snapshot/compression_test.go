//go:build linux

package snapshot_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-298d225e/builder/snapshot"
)

func compression(t testing.TB, kind, level string) snapshot.Compression {
	t.Helper()
	c, err := snapshot.ParseCompression(kind, level)
	must(t, err)
	return c
}

func TestParseCompression(t *testing.T) {
	for _, tt := range []struct{ kind, level, want string }{
		{"", "", "gzip-6"},
		{"", "9", "gzip-9"},
		{"gzip", "0", "gzip-0"},
		{"zstd", "", "zstd-3"},
		{"zstd", "22", "zstd-22"},
		{"estargz", "", "estargz-6"},
		{"uncompressed", "", "uncompressed"},
	} {
		if got := compression(t, tt.kind, tt.level).String(); got != tt.want {
			t.Errorf("%s, %s: got %s, want %s", tt.kind, tt.level, got, tt.want)
		}
	}
	for _, wrong := range [][2]string{{"brotli", ""}, {"gzip", "10"}, {"zstd", "23"}, {"gzip", "-1"}, {"gzip", "best"}, {"uncompressed", "1"}} {
		if c, err := snapshot.ParseCompression(wrong[0], wrong[1]); err == nil {
			t.Errorf("%v is taken for %s", wrong, c)
		}
	}
}

// numbers are the entries of a layer that compresses badly enough to have several blocks.
func numbers(n int) snapshot.Entries {
	return func(yield func(*snapshot.Entry, error) bool) {
		for i := range n {
			text := bytes.Repeat(fmt.Appendf(nil, "%x %d\n", i*i*i, i), 40000)
			open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
			if !yield(&snapshot.Entry{Path: fmt.Sprintf("f%d", i), Mode: 0o644, Size: int64(len(text)), Open: open}, nil) {
				return
			}
		}
	}
}

func archiveIn(t testing.TB, l v1.Layer) []byte {
	t.Helper()
	r, err := l.Uncompressed()
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	return b
}

// consistent checks that a layer is what it says.
func consistent(t testing.TB, l v1.Layer) {
	t.Helper()
	r, err := l.Compressed()
	must(t, err)
	digest, size, err := v1.SHA256(r)
	must(t, err)
	diffID, _, err := v1.SHA256(bytes.NewReader(archiveIn(t, l)))
	must(t, err)
	wantDigest, err := l.Digest()
	must(t, err)
	wantSize, err := l.Size()
	must(t, err)
	wantDiffID, err := l.DiffID()
	must(t, err)
	if digest != wantDigest || size != wantSize || diffID != wantDiffID {
		t.Errorf("it is %s of %d bytes with %s in it, and says %s of %d bytes with %s", digest, size, diffID, wantDigest, wantSize, wantDiffID)
	}
}

// A layer has the same archive however it is compressed, and in whatever order that is asked for.
func TestPack(t *testing.T) {
	s := openStore(t)
	all := []snapshot.Compression{
		compression(t, "zstd", ""), compression(t, "gzip", "6"), compression(t, "gzip", "1"), compression(t, "uncompressed", ""),
		compression(t, "estargz", ""),
	}
	want := archiveIn(t, s.NewLayer(t.Context(), numbers(5), snapshot.Unix))
	digests := map[snapshot.Compression]v1.Hash{}
	for i := range all {
		l := s.NewLayer(t.Context(), numbers(5), snapshot.Unix)
		for j := range all {
			c := all[(i+j)%len(all)]
			packed, err := s.Pack(l, c)
			must(t, err)
			consistent(t, packed)
			if got := archiveIn(t, packed); c.Kind == snapshot.EStargz && !bytes.HasPrefix(got, want[:len(want)-1024]) || c.Kind != snapshot.EStargz && !bytes.Equal(got, want) {
				t.Errorf("%s has another archive", c)
			}
			digest, err := packed.Digest()
			must(t, err)
			if before, ok := digests[c]; ok && digest != before {
				t.Errorf("%s: got %s, before it was %s", c, digest, before)
			}
			digests[c] = digest
		}
		if i == 0 {
			must(t, l.Keep())
		}
	}
}

// The bytes do not depend on how many processors there are.
func TestPackOnAnyMachine(t *testing.T) {
	for _, kind := range []string{"gzip", "zstd", "estargz"} {
		var digests []v1.Hash
		for _, processors := range []int{1, 2, 5} {
			before := runtime.GOMAXPROCS(processors)
			packed, err := openStore(t).Pack(openStore(t).NewLayer(t.Context(), numbers(8), snapshot.Unix), compression(t, kind, ""))
			must(t, err)
			d, err := packed.Digest()
			must(t, err)
			runtime.GOMAXPROCS(before)
			digests = append(digests, d)
		}
		if digests[0] != digests[1] || digests[1] != digests[2] {
			t.Errorf("%s: got %v", kind, digests)
		}
	}
}

// What comes from elsewhere keeps its archive, and is left alone if it is compressed in that way.
func TestPackForeign(t *testing.T) {
	s := openStore(t)
	l := layerOf(t, "d 755 a", "f 644 a/b text")
	same, err := s.Pack(l, compression(t, "gzip", "9"))
	must(t, err)
	if same != l {
		t.Error("a gzip layer was compressed with gzip")
	}
	packed, err := s.Pack(image(t, s, l)[0], compression(t, "zstd", ""))
	must(t, err)
	consistent(t, packed)
	got, err := packed.DiffID()
	must(t, err)
	want, err := l.DiffID()
	must(t, err)
	media, err := packed.MediaType()
	must(t, err)
	if got != want || media != types.OCILayerZStd {
		t.Errorf("got %s of type %s, want %s of type %s", got, media, want, types.OCILayerZStd)
	}
}

func TestStargzAnnotations(t *testing.T) {
	s := openStore(t)
	packed, err := s.Pack(s.NewLayer(t.Context(), numbers(1), snapshot.Unix), compression(t, "estargz", ""))
	must(t, err)
	d, err := packed.(*snapshot.Packed).Descriptor()
	must(t, err)
	size := fmt.Sprint(len(archiveIn(t, packed)))
	toc := d.Annotations["containerd.io/snapshot/stargz/toc.digest"]
	want := map[string]string{"io.containers.estargz.uncompressed-size": size, "containerd.io/snapshot/stargz/toc.digest": toc}
	if diff := gocmp.Diff(want, d.Annotations); diff != "" || toc == "" {
		t.Errorf("the annotations: %s", diff)
	}
}

// Layers that differ only in times are one layer, unless their times are known to be reproducible.
func TestDatedLayers(t *testing.T) {
	s := openStore(t)
	at := func(seconds int64) snapshot.Entries {
		return snapshot.Listed([]*snapshot.Entry{{Path: "d", Kind: snapshot.Directory, Mode: 0o755, ModTime: time.Unix(seconds, 0)}})
	}
	for _, c := range []struct {
		form snapshot.Form
		same bool
	}{{snapshot.Unix, true}, {snapshot.Unix.Dated(), false}, {snapshot.Windows, true}, {snapshot.Windows.Dated(), false}} {
		old, now := s.NewLayer(t.Context(), at(1), c.form), s.NewLayer(t.Context(), at(2), c.form)
		before, err := old.Digest()
		must(t, err)
		after, err := now.Digest()
		must(t, err)
		if (before == after) != c.same {
			t.Errorf("%q: got %s and %s", c.form, before, after)
		}
		id, err := now.ContentID()
		must(t, err)
		must(t, now.Keep())
		stored, err := s.Stored(t.Context(), id)
		must(t, err)
		_, err = stored.FS() // which checks what it holds
		must(t, err)
	}
}

//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// packedLayer is a compressed layer whose digest, size and diff ID are right, whatever its bytes are.
type packedLayer struct {
	blob []byte
	diff v1.Hash
}

func digestOf(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

func (l packedLayer) Digest() (v1.Hash, error)            { return digestOf(l.blob), nil }
func (l packedLayer) DiffID() (v1.Hash, error)            { return l.diff, nil }
func (l packedLayer) Size() (int64, error)                { return int64(len(l.blob)), nil }
func (l packedLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }
func (l packedLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.blob)), nil
}
func (l packedLayer) Uncompressed() (io.ReadCloser, error) { return nil, fmt.Errorf("nobody asks") }

// packing compresses what write writes, and tells the digest of that.
func packing(t *testing.T, write func(io.Writer) error) packedLayer {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	if err := write(io.MultiWriter(z, sum)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packedLayer{b.Bytes(), v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}}
}

func zipped(t *testing.T, content []byte) packedLayer {
	t.Helper()
	return packing(t, func(w io.Writer) error { _, err := w.Write(content); return err })
}

// packedCase is an image whose compressed layer attacks who unpacks it.
type packedCase struct {
	name  string
	layer func(t *testing.T, a *attempt) packedLayer
	// refusal and check are as those of hostile.
	refusal string
	either  bool
	check   []string
	// patience is how long the build may take if that is not a minute.
	patience time.Duration
}

func packedCases() []packedCase {
	ordinary := func(t *testing.T, a *attempt) packedLayer {
		t.Helper()
		return zipped(t, archive(t, []tar.Header{file("a"), file("b")}, a.guarded))
	}
	return []packedCase{
		{name: "t-gzip-cut", refusal: "unexpected EOF", layer: func(t *testing.T, a *attempt) packedLayer {
			l := ordinary(t, a)
			l.blob = l.blob[:len(l.blob)/2]
			return l
		}},
		{name: "t-gzip-sum", refusal: "gzip", layer: func(t *testing.T, a *attempt) packedLayer {
			l := ordinary(t, a)
			l.blob = bytes.Clone(l.blob)
			l.blob[len(l.blob)-6] ^= 1 // of the checksum
			return l
		}},
		{name: "t-gzip-bits", refusal: "gzip", layer: func(t *testing.T, a *attempt) packedLayer {
			l := ordinary(t, a)
			l.blob = append(bytes.Clone(l.blob[:10]), bytes.Repeat([]byte{0xff}, 100)...)
			return l
		}},
		{name: "t-gzip-header", refusal: "t-gzip-header", layer: func(t *testing.T, a *attempt) packedLayer {
			l := ordinary(t, a)
			l.blob = append([]byte{0x1f, 0x8b, 8, 0x08, 0, 0, 0, 0, 0, 3}, bytes.Repeat([]byte("n"), 8<<20)...) // a name that does not end
			return l
		}},
		{name: "t-gzip-tail", either: true, layer: func(t *testing.T, a *attempt) packedLayer {
			l := ordinary(t, a)
			l.blob = append(bytes.Clone(l.blob), "this is not gzip"...)
			return l
		}},
		{name: "t-gzip-many", check: []string{"present", "/a", "/b"}, layer: func(t *testing.T, a *attempt) packedLayer {
			whole := archive(t, []tar.Header{file("a"), file("b")}, a.guarded)
			l := packedLayer{diff: digestOf(whole)}
			for part := whole; len(part) > 0; part = part[min(100, len(part)):] {
				l.blob = append(l.blob, zipped(t, part[:min(100, len(part))]).blob...)
			}
			return l
		}},
		{name: "t-gzip-empty", check: []string{"present", "/a"}, layer: func(t *testing.T, a *attempt) packedLayer {
			l := ordinary(t, a)
			l.blob = append(bytes.Repeat(zipped(t, nil).blob, 100_000), l.blob...)
			return l
		}},
		{name: "t-gzip-none", refusal: "digest", layer: func(t *testing.T, a *attempt) packedLayer {
			l := ordinary(t, a)
			l.blob = zipped(t, archive(t, []tar.Header{file("other")}, a.guarded)).blob // the diff ID is another layer's
			return l
		}},
		{name: "t-zero-tail-packed", check: []string{"present", "/a"}, layer: func(t *testing.T, a *attempt) packedLayer {
			head := archive(t, []tar.Header{file("a")}, a.guarded)
			return packing(t, func(w io.Writer) error {
				if _, err := w.Write(head); err != nil {
					return err
				}
				_, err := io.CopyN(w, zeros{}, 1<<30)
				return err
			})
		}},
		{name: "t-sparse-bomb", refusal: "larger than", layer: func(t *testing.T, _ *attempt) packedLayer { return zipped(t, sparseBomb(1<<40)) }},
		{name: "t-sparse-pax", refusal: "larger than", layer: func(t *testing.T, _ *attempt) packedLayer { return zipped(t, sparsePAX(1<<40)) }},
		{name: "t-sparse-hole", check: []string{"present", "/hole"}, layer: func(t *testing.T, _ *attempt) packedLayer { return zipped(t, sparseBomb(1<<30)) }},
		{name: "t-million", patience: 10 * time.Minute, check: []string{"present", "/many/999/999"}, layer: func(t *testing.T, _ *attempt) packedLayer {
			return packing(t, million)
		}},
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// million writes an archive of a million empty files.
func million(w io.Writer) error {
	archive := tar.NewWriter(w)
	for i := range 1_000_000 {
		h := tar.Header{Name: fmt.Sprintf("many/%d/%d", i/1000, i%1000), Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(&h); err != nil {
			return err
		}
	}
	return archive.Close()
}

// tarHeader is a header in the old format of GNU tar, with its checksum, which change may change before.
func tarHeader(name string, kind byte, change func(b []byte)) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00        ")
	b[156] = kind
	copy(b[257:], "ustar  \x00")
	change(b)
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// sparseBomb is an archive of a file that is a single hole, in the old format of GNU tar.
func sparseBomb(size int64) []byte {
	h := tarHeader("hole", tar.TypeGNUSparse, func(b []byte) {
		copy(b[386:], fmt.Sprintf("%011o\x00%011o\x00", 0, 0))
		if size >= 1<<33 { // more than eleven octal digits: as a binary number
			b[483] = 0x80
			for i := range 8 {
				b[483+4+i] = byte(size >> (56 - 8*i))
			}
			return
		}
		copy(b[483:], fmt.Sprintf("%011o\x00", size))
	})
	return append(h, make([]byte, 1024)...)
}

// sparsePAX is the same in the format that GNU tar writes today.
func sparsePAX(size int64) []byte {
	record := func(key, value string) string {
		for n := len(key) + len(value) + 3; ; n++ {
			if line := fmt.Sprintf("%d %s=%s\n", n, key, value); len(line) == n {
				return line
			}
		}
	}
	records := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") +
		record("GNU.sparse.name", "hole") + record("GNU.sparse.realsize", fmt.Sprint(size))
	b := tarHeader("PaxHeaders/hole", tar.TypeXHeader, func(b []byte) {
		copy(b[124:], fmt.Sprintf("%011o\x00", len(records)))
		copy(b[257:], "ustar\x0000")
	})
	b = append(append(b, records...), make([]byte, 512-len(records)%512)...)
	b = append(b, tarHeader("hole", tar.TypeReg, func(b []byte) {
		copy(b[124:], fmt.Sprintf("%011o\x00", 512))
		copy(b[257:], "ustar\x0000")
	})...)
	sparseMap := make([]byte, 512)
	copy(sparseMap, "0\n")
	return append(append(b, sparseMap...), make([]byte, 1024)...)
}

// pushPacked pushes the toybox with the layer on it.
func (c *packedCase) push(t *testing.T, a *attempt) {
	t.Helper()
	image, err := mutate.AppendLayers(toyboxImage(t), c.layer(t, a))
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(a.registry + "/" + c.name)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// Compressed layers that are damaged, or of which a few bytes become very many.
func TestHostilePackedImages(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for _, c := range packedCases() {
		t.Run(c.name, func(t *testing.T) {
			a := newAttempt(t, registry)
			c.push(t, a)
			a.limit = max(a.limit, c.patience)
			check := c.check
			if check == nil {
				check = []string{"nothing"}
			}
			r := a.build(fmt.Sprintf("FROM REGISTRY/%s\n%s", c.name, attackStep(check...)), "-o", "type=cacheonly")
			switch {
			case c.refusal != "":
				a.refused(r, c.refusal)
			case !c.either:
				a.built(r)
			}
			t.Logf("exit %d, %s, %d MiB: %s", r.code, r.took, r.memory>>20, lastLines(strings.TrimSpace(r.output), 1))
			if most := max(c.patience, time.Minute); r.memory > 1<<30 || r.took > most {
				t.Errorf("it took %s and %d MiB", r.took, r.memory>>20)
			}
			if used := a.diskUse(); c.name != "t-million" && used > 300<<20 {
				t.Errorf("the store has grown to %d MiB", used>>20)
			}
			a.works()
		})
	}
}

// diskUse is how many bytes of the disk the store takes.
func (a *attempt) diskUse() (bytes int64) {
	a.t.Helper()
	if _, err := fmt.Sscan(a.inside(`du -s --block-size=1 "$1" 2>/dev/null || echo 0`, a.store), &bytes); err != nil {
		a.t.Fatal(err)
	}
	return bytes
}

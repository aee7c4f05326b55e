package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// samples are contents that compress in different ways.
func samples() map[string][]byte {
	noise := make([]byte, 700<<10)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(noise)
	r := rand.New(rand.NewPCG(1, 2))
	var text, skewed bytes.Buffer
	words := strings.Fields("the layer of a tree is what a step adds to it and nothing else; so it is")
	for text.Len() < 900<<10 {
		text.WriteString(words[r.IntN(len(words))] + " ")
	}
	for skewed.Len() < 500<<10 { // codes of all lengths
		skewed.WriteByte(byte(min(255, int(r.ExpFloat64()*9))))
	}
	mixed := bytes.Join([][]byte{text.Bytes()[:300<<10], noise[:100<<10], make([]byte, 400<<10), skewed.Bytes()}, nil)
	return map[string][]byte{
		"empty": nil, "one byte": {42}, "noise": noise, "zeros": make([]byte, 1<<20), "text": text.Bytes(),
		"skewed": skewed.Bytes(), "short period": bytes.Repeat([]byte("abc"), 200<<10), "mixed": mixed,
		"words": bytes.Repeat([]byte("12345678"), 50<<10), "far": append(append(noise[:window:window], 1), noise[:window]...),
	}
}

func compress(t *testing.T, content []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	z.Name, z.Comment, z.Extra = "name", "comment", []byte("extra")
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decompress(r io.Reader) ([]byte, error) {
	z, err := NewReader(r)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func TestDecompress(t *testing.T) {
	for name, want := range samples() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, 6, flate.BestCompression} {
			packed := compress(t, want, level)
			for how, r := range map[string]io.Reader{
				"whole": bytes.NewReader(packed), "in halves": iotest.HalfReader(bytes.NewReader(packed)),
				"with the end": iotest.DataErrReader(bytes.NewReader(packed)),
			} {
				if got, err := decompress(r); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s, level %d, %s: got %d bytes and %v, want %d", name, level, how, len(got), err, len(want))
				}
			}
		}
	}
}

func TestMembers(t *testing.T) {
	all := samples()
	packed := bytes.Join([][]byte{compress(t, all["text"], 6), compress(t, nil, 6), compress(t, all["mixed"], 1)}, nil)
	got, err := decompress(iotest.OneByteReader(bytes.NewReader(packed)))
	if want := append(bytes.Clone(all["text"]), all["mixed"]...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes and %v, want %d", len(got), err, len(want))
	}
	if _, err := decompress(bytes.NewReader(append(compress(t, []byte("x"), 6), "this is no gzip at all"...))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("something else behind: got %v", err)
	}
}

// A second member cannot refer to the first one.
func TestMembersAreApart(t *testing.T) {
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, 9, []byte("once upon a time in a land far away"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("once upon a time in a land far away"))
	_ = w.Close()
	first := compress(t, []byte("once upon a time in a land far away"), 6)
	packed := append(first, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0)
	if _, err := decompress(bytes.NewReader(append(packed, b.Bytes()...))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// A stream that was cut anywhere is an error, never a shorter content.
func TestCut(t *testing.T) {
	for _, level := range []int{0, 1, 6} {
		packed := compress(t, samples()["mixed"][:3000], level)
		for n := range packed {
			if _, err := decompress(bytes.NewReader(packed[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("level %d: cut at %d of %d: got %v", level, n, len(packed), err)
			}
		}
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	packed := compress(t, samples()["text"], 6)
	r := io.MultiReader(bytes.NewReader(packed[:len(packed)/2]), iotest.ErrReader(broken))
	if got, err := decompress(r); !errors.Is(err, broken) || len(got) == 0 {
		t.Errorf("got %d bytes and %v", len(got), err)
	}
}

// Whatever is read, the result is that of compress/gzip.
func FuzzLikeGzip(f *testing.F) {
	for _, content := range samples() {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6} {
			var b bytes.Buffer
			z, _ := gzip.NewWriterLevel(&b, level)
			_, _ = z.Write(content[:min(len(content), 4000)])
			_ = z.Close()
			f.Add(b.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		const limit = 4 << 20
		var want []byte
		theirs, wantErr := gzip.NewReader(bytes.NewReader(packed))
		if wantErr == nil {
			want, wantErr = io.ReadAll(io.LimitReader(theirs, limit))
		}
		var got []byte
		ours, gotErr := NewReader(bytes.NewReader(packed))
		if gotErr == nil {
			got, gotErr = io.ReadAll(io.LimitReader(ours, limit))
		}
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("got %v, want %v", gotErr, wantErr)
		}
		if wantErr == nil && !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes, want %d others", len(got), len(want))
		}
	})
}

func BenchmarkInflate(b *testing.B) {
	content := samples()["mixed"]
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(content)
	_ = z.Close()
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(packed.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

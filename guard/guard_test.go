package guard

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

const token = "ghp_Tr0ub4dor&3/correct+horse"

func TestFind(t *testing.T) {
	key := "-----BEGIN KEY-----\n" + strings.Repeat("c29tZSBieXRlcyBvZiBhIGtleQ==\n", 8) + "-----END KEY-----\n"
	g := New(map[string][]byte{"token": []byte(token + "\n"), "key": []byte(key), "pin": []byte("1234567")})
	encode := base64.StdEncoding.EncodeToString
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":                  {"an innocent text, long enough to be looked at", ""},
		"empty":                    {"", ""},
		"as it is":                 {token, "token"},
		"in the middle":            {"password=" + token + "; path=/", "token"},
		"all but the last byte":    {token[:len(token)-1], ""},
		"base64":                   {encode([]byte(token)), "token"},
		"base64 with the line end": {encode([]byte(token + "\n")), "token"},
		"base64, one byte before":  {encode([]byte(":" + token)), "token"},
		"base64, two bytes before": {encode([]byte("u:" + token + ":x")), "token"},
		"base64, a user before":    {encode([]byte("user:" + token)), "token"},
		"base64 for URLs":          {base64.RawURLEncoding.EncodeToString([]byte("a" + token)), "token"},
		"several lines":            {"x\n" + key, "key"},
		"without its line end":     {strings.TrimSpace(key), "key"},
		"one line of several":      {"-----BEGIN KEY-----\nc29tZSBieXRlcyBvZiBhIGtleQ==", ""},
		"wrapped base64":           {string(wrapped([]byte(encode([]byte(key))), 76)), "key"},
		"wrapped as openssl does":  {string(wrapped([]byte(encode([]byte(key))), 64)), "key"},
		"too short to be one":      {"1234567", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := g.Find([]byte(tt.text)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNoSecrets(t *testing.T) {
	g := New(map[string][]byte{"empty": nil, "short": []byte("1234567\n")})
	if g != nil {
		t.Fatal("there is a guard of nothing")
	}
	if g.Find([]byte("1234567")) != "" || g.Mask("1234567") != "1234567" {
		t.Error("a guard that knows nothing has found something")
	}
	r := io.NopCloser(strings.NewReader("x"))
	if g.Reader(r, nil) != r {
		t.Error("a guard that knows nothing reads along")
	}
}

var errFound = errors.New("found")

// A secret is found wherever reads happen to split it.
func TestReader(t *testing.T) {
	g := New(map[string][]byte{"token": []byte(token)})
	for before := range 70 {
		text := strings.Repeat("a", before) + token + strings.Repeat("b", 50)
		for name, r := range map[string]io.Reader{
			"bytes":  iotest.OneByteReader(strings.NewReader(text)),
			"halves": iotest.HalfReader(strings.NewReader(text)),
			"whole":  strings.NewReader(text),
			"sevens": &chunks{text, 7},
		} {
			_, err := io.Copy(io.Discard, struct{ io.Reader }{g.Reader(io.NopCloser(r), func(string) error { return errFound })})
			if !errors.Is(err, errFound) {
				t.Fatalf("%s, after %d bytes: %v", name, before, err)
			}
		}
	}
}

// A secret that is permitted is told once, and the content comes through.
func TestReaderGoesOn(t *testing.T) {
	g := New(map[string][]byte{"token": []byte(token)})
	n := 0
	text := token + token
	got, err := io.ReadAll(g.Reader(io.NopCloser(iotest.OneByteReader(strings.NewReader(text))), func(string) error { n++; return nil }))
	if err != nil || string(got) != text || n != 1 {
		t.Errorf("got %q, %v, told %d times", got, err, n)
	}
}

type chunks struct {
	text string
	n    int
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.text == "" {
		return 0, io.EOF
	}
	n := copy(p, c.text[:min(c.n, len(c.text))])
	c.text = c.text[n:]
	return n, nil
}

func TestMask(t *testing.T) {
	g := New(map[string][]byte{"token": []byte(token)})
	if got, want := g.Mask("a "+token+" b "+token), "a *** b ***"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// However a stream is split, no secret comes out, nothing else is lost, and nothing is kept waiting that
// no secret can begin with.
func TestMasker(t *testing.T) {
	g := New(map[string][]byte{"token": []byte(token)})
	text := "one " + token + "\ntwo " + token[:9] + "\nthree " + token + token + token[:5]
	want := strings.ReplaceAll(text, token, "***")
	for size := 1; size < len(text); size++ {
		var out bytes.Buffer
		found := 0
		m := g.Masker(func(b []byte) { out.Write(b) }, func(string) { found++ })
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			m.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		m.Flush()
		if out.String() != want || found == 0 {
			t.Fatalf("in pieces of %d: got %q, want %q", size, out.String(), want)
		}
	}
	var out bytes.Buffer
	m := g.Masker(func(b []byte) { out.Write(b) }, func(string) {})
	if m.Write([]byte("Continue? ")); out.String() != "Continue? " {
		t.Errorf("a prompt is held back: %q", out.String())
	}
}

// The search finds what a plain one finds.
func TestSearchAgainstPlain(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ab"[random.IntN(2)]
		}
		return b
	}
	for range 2000 {
		var all []pattern
		for range 1 + random.IntN(4) {
			all = append(all, pattern{"x", letters(MinLength + random.IntN(8))})
		}
		s, text := newSearch(all), letters(random.IntN(2000))
		want := false
		for _, p := range all {
			want = want || bytes.Contains(text, p.text)
		}
		if p, at := s.find(text); (p != nil) != want || p != nil && !bytes.HasPrefix(text[at:], p.text) {
			t.Fatalf("patterns %q in %q: got %v at %d, want %v", all, text, p, at, want)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	text := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{})
	if _, err := random.Read(text); err != nil {
		b.Fatal(err)
	}
	for name, secrets := range map[string]map[string][]byte{
		"one":  {"a": []byte(token)},
		"five": {"a": []byte(token), "b": []byte("hunter2hunter2"), "c": text[:3000], "d": text[5000:5020], "e": text[6000:6040]},
	} {
		g := New(secrets)
		rest := text[8000:]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(rest)))
			for b.Loop() {
				r := g.Reader(io.NopCloser(bytes.NewReader(rest)), func(string) error { return errFound })
				if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What was found clean is known to the next process, unless that looks for other secrets.
func TestMemory(t *testing.T) {
	path := t.TempDir() + "/clean"
	g := New(map[string][]byte{"token": []byte(token)})
	if err := g.Memory(path).Remember("layer"); err != nil {
		t.Fatal(err)
	}
	if m := g.Memory(path); !m.Clean("layer") || m.Clean("other") {
		t.Error("the memory is wrong")
	}
	if New(map[string][]byte{"token": []byte(token + "2")}).Memory(path).Clean("layer") {
		t.Error("a layer counts as clean of a secret that it was not searched for")
	}
	if b, err := os.ReadFile(path); err != nil || g.Find(b) != "" || len(b) != len("0000 layer\n") {
		t.Errorf("the file holds %q, %v", b, err)
	}
}

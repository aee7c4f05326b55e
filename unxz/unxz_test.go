package unxz

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// pack compresses plain with the program xz.
func pack(t *testing.T, plain string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("xz is not installed")
	}
	cmd := exec.CommandContext(t.Context(), "xz", args...)
	cmd.Stdin = strings.NewReader(plain)
	packed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestReader(t *testing.T) {
	plain := strings.Repeat("all that glitters is not gold\n", 1000)
	half := plain[:len(plain)/2]
	for name, packed := range map[string][]byte{
		"default":     pack(t, plain),
		"level 9":     pack(t, plain, "-9e"),
		"no check":    pack(t, plain, "--check=none"),
		"SHA-256":     pack(t, plain, "--check=sha256"),
		"x86 filter":  pack(t, plain, "--x86", "--lzma2"),
		"two blocks":  pack(t, plain, "--block-size=16KiB"),
		"two streams": append(pack(t, half), pack(t, half)...),
		"at the most": pack(t, plain, "--lzma2=dict=128MiB"),
	} {
		r, err := NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != plain {
			t.Errorf("%s: got %d bytes, %v, want %d", name, len(got), err, len(plain))
		}
		if r, err = NewReader(bytes.NewReader(packed[:len(packed)-9])); err != nil {
			t.Errorf("%s, cut short: %v", name, err)
			continue
		}
		if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s, cut short: got %v, want an unexpected end", name, err)
		}
	}
}

// A dictionary that is too large is refused before the memory for it is taken, also in a later stream.
func TestDictionary(t *testing.T) {
	large := pack(t, "little", "--lzma2=dict=129MiB")
	for name, packed := range map[string][]byte{
		"first stream":  large,
		"second stream": append(pack(t, "little"), large...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := NewReader(bytes.NewReader(packed))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrDictionary) {
			t.Errorf("%s: got %v, want %v", name, err, ErrDictionary)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 32<<20 {
			t.Errorf("%s: %d bytes of memory were taken", name, taken)
		}
	}
}

func TestGarbage(t *testing.T) {
	if _, err := NewReader(strings.NewReader("no xz stream at all")); err == nil {
		t.Error("no error for what is no xz stream")
	}
}

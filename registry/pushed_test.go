package registry

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A blob that another process has pushed to another repository of the registry is mounted.
func TestPushedEarlier(t *testing.T) {
	_, r := newPerRepository(t)
	file := filepath.Join(t.TempDir(), "pushed")
	l := &countedLayer{Layer: randomLayer(t, 1000)}
	for _, repo := range []string{"team/a", "team/b", "c"} {
		remembered := NewPushedFile(file)
		c := impatient()
		c.Pushed = remembered
		p, err := newClient(t, c).Pusher(r.repo(repo))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Layer(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if err := remembered.Save(); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.opened.Load(); n != 1 {
		t.Errorf("the layer was read %d times", n)
	}
	text, err := os.ReadFile(file)
	digest, _ := l.Digest()
	if want := fmt.Sprintf("%s %s c\n", digest, r.host); err != nil || string(text) != want {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
}

// What is remembered wrongly costs a request.
func TestPushedAndGone(t *testing.T) {
	_, r := newPerRepository(t)
	file := filepath.Join(t.TempDir(), "pushed")
	l := &countedLayer{Layer: randomLayer(t, 1000)}
	digest, _ := l.Digest()
	if err := os.WriteFile(file, fmt.Appendf(nil, "%s %s gone\n", digest, r.host), 0o600); err != nil {
		t.Fatal(err)
	}
	c := impatient()
	c.Pushed = NewPushedFile(file)
	p, err := newClient(t, c).Pusher(r.repo("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Layer(t.Context(), l); err != nil {
		t.Error(err)
	}
}

func TestPushedFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pushed")
	damaged := "not a line\nsha256:xx r.test a\n" + digestOf([]byte("x")).String() + " r.test ../../etc\n\n"
	if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	f := NewPushedFile(file)
	if got := f.Find("r.test", digestOf([]byte("x"))); got != "" {
		t.Errorf("a damaged line gives %q", got)
	}
	for i := range maxPushed + 10 {
		f.Note("r.test", "a", digestOf([]byte{byte(i), byte(i >> 8)}))
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	f = NewPushedFile(file)
	f.Note("r.test", "b", digestOf([]byte{100, 0}))
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	f = NewPushedFile(file)
	for i, want := range map[int]string{0: "", 100: "b", maxPushed: "a"} {
		if got := f.Find("r.test", digestOf([]byte{byte(i), byte(i >> 8)})); got != want {
			t.Errorf("%d: got %q, want %q", i, got, want)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(text)))
	if len(lines) != maxPushed || !strings.HasSuffix(lines[len(lines)-1], " b\n") {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

// The file has one line for each blob: the last that was noted, or was there.
func TestPushedOnce(t *testing.T) {
	x, y := digestOf([]byte("x")), digestOf([]byte("y"))
	for name, tt := range map[string]struct {
		before []string
		// noted are repositories that x was pushed to.
		noted []string
		want  string
	}{
		"noted twice":              {nil, []string{"a", "a"}, "X a\n"},
		"noted twice, elsewhere":   {nil, []string{"a", "b"}, "X b\n"},
		"known, then elsewhere":    {[]string{"X a", "Y c"}, []string{"a", "b"}, "Y c\nX b\n"},
		"elsewhere, then as known": {[]string{"X a", "Y c"}, []string{"b", "a"}, "X a\nY c\n"},
		"there twice":              {[]string{"X a", "Y c", "X b", "Y c"}, []string{"d"}, "Y c\nX d\n"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pushed")
			long := strings.NewReplacer("X", x.String()+" r.test", "Y", y.String()+" r.test")
			if err := os.WriteFile(file, []byte(long.Replace(strings.Join(tt.before, "\n"))), 0o600); err != nil {
				t.Fatal(err)
			}
			f := NewPushedFile(file)
			for _, repository := range tt.noted {
				f.Note("r.test", repository, x)
			}
			if err := f.Save(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			if got := strings.TrimSpace(string(got)); err != nil || got+"\n" != long.Replace(tt.want) {
				t.Errorf("got  %q, %v\nwant %q", got, err, long.Replace(tt.want))
			}
		})
	}
}

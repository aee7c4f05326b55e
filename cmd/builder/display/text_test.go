package display

import (
	"strings"
	"testing"
	"time"
)

func TestSafe(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"plain\ttext, 火 é", "plain\ttext, 火 é"},
		{"\x1b]0;title\a", `\x1b]0;title\x07`},
		{"\u009b31m", `\x9b31m`},
		{"a\r\nb\x00\x7f", `a\r\nb\x00\x7f`},
		{"bad \xff\x9b utf-8, good \ufffd", `bad \xff\x9b utf-8, good ` + "\ufffd"},
		{"gpj\u202etxt.exe", `gpj\u202etxt.exe`},
		{"\u2028", `\u2028`},
	} {
		if got := safe(c.text); got != c.want {
			t.Errorf("safe(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestDropStyles(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"plain", "plain"},
		{"\x1b[31mred\x1b[0m and \x1b[1;4mbold\x1b[K", "red and bold"},
		{"\x1b]8;;http://x\x1b\\", "\x1b]8;;http://x\x1b\\"},
		{"cut \x1b[31", "cut \x1b[31"},
		{"\x1b[3\x07m\x1b[\x1b[2Jx", "\x1b[3\x07m\x1b[x"},
		{"\x1b[é", "\x1b[é"},
	} {
		if got := dropStyles(c.line); got != c.want {
			t.Errorf("dropStyles(%q) = %q, want %q", c.line, got, c.want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "ab…"},
		{"abcd", 1, "…"},
		{"abcd", 0, ""},
		{"abcd", -1, ""},
		{"火火", 4, "火火"},
		{"火火", 3, "火…"},
		{"火火", 2, "…"},
		{"a\tb", 9, "a       b"},
		{"a\tb", 8, "a…"},
		{"e\u0301e\u0301", 2, "e\u0301e\u0301"},
	} {
		got := fit(c.text, c.n)
		if got != c.want {
			t.Errorf("fit(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
		if w := cellsOf(got); w > max(0, c.n) {
			t.Errorf("fit(%q, %d) is %d columns wide", c.text, c.n, w)
		}
	}
}

func TestSentence(t *testing.T) {
	if got, want := sentence("one\n\n  two\r\n\x1b"), `one; two; \x1b`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB",
		32_100_000: "32.1 MB", 5e9: "5.0 GB", 7e12: "7.0 TB", 7e15: "7000.0 TB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0s", 40 * time.Millisecond: "0.0s", 2340 * time.Millisecond: "2.3s",
		59960 * time.Millisecond: "1m00s", 125 * time.Second: "2m05s", 3*time.Hour + 7*time.Minute: "3h07m",
	} {
		if got := durationText(d); got != want {
			t.Errorf("durationText(%s) = %q, want %q", d, got, want)
		}
	}
}

// Whatever text is made of, after safe there is nothing in it that a terminal obeys.
func FuzzSafe(f *testing.F) {
	f.Add("\x1b[31m\u009b\xff\u202e火\t")
	f.Fuzz(func(t *testing.T, text string) {
		got := safe(dropStyles(text))
		for _, r := range got {
			if r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0 {
				t.Errorf("%q is left of %q", r, text)
			}
		}
		if w := cellsOf(fit(got, 40)); w > 40 {
			t.Errorf("%q is %d columns wide", got, w)
		}
		if strings.Contains(fit(got, 40), "\t") {
			t.Errorf("a tab is left of %q", text)
		}
	})
}

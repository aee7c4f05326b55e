package frontend

import (
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
)

func TestParseIgnore(t *testing.T) {
	got, err := ParseIgnore(".dockerignore", []byte("\ufeff# comment\n\n  /a/ \n!b\n! /c\n./d/../e\n**/*.log\r\n"))
	want := []string{"a", "!b", "!c", "e", "**/*.log"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestParseIgnoreErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a[\n":                          "parsing x: ",
		"!\n":                           "parsing x: ",
		strings.Repeat("a\n", 10_001):   "parsing x: it has 10001 patterns and may have 10000",
		strings.Repeat("a", 5<<20):      "parsing x: it has 5242880 bytes and may have 4 MiB",
		strings.Repeat("a", 100<<10):    "parsing x: ",
		"a\n" + strings.Repeat("[", 99): "parsing x: ",
	} {
		if _, err := ParseIgnore("x", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %s", text, err, want)
		}
	}
}

// FuzzIgnore makes sure that what ParseIgnore accepts can be matched with anything.
func FuzzIgnore(f *testing.F) {
	for _, s := range []string{"*\n!a/**\n", "**/x?[a-z]\n", "# c\n/a\\\\b\n", "a[^]]\n!!\n", "\ufeffx", "a/../../b"} {
		f.Add([]byte(s), "a/b.log")
	}
	f.Fuzz(func(t *testing.T, text []byte, p string) {
		patterns, err := ParseIgnore("x", text)
		if err != nil {
			return
		}
		m, err := patternmatcher.New(slices.Clone(patterns))
		if err != nil {
			t.Fatalf("accepted %q: %v", patterns, err)
		}
		if _, err := m.MatchesOrParentMatches(p); err != nil && strings.Contains(err.Error(), "error parsing regexp") {
			t.Errorf("%q with %q: %v", patterns, p, err)
		}
		ignoreMatcher(patterns)
	})
}

package suggest

import (
	"slices"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	for _, c := range []struct{ name, names, want string }{
		{"RNU", "ADD ENV RUN", "RUN"},
		{"FORM", "FROM RUN", "FROM"},
		{"tga", "tag jobs", "tag"},
		{"cho", "chmod chown", "chown"},
		{"rat", "cat rap", "rap"},
		{"buidl", "bild build", "build"},
		{"RUN", "RUN ENV", ""},
		{"", "a ab", "a"},
		{"abcdef", "abc", ""},
		{"größe", "grosse größer", "größer"},
		{"nothing", "like it", ""},
	} {
		if got := Nearest(c.name, strings.Fields(c.names)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 2}} {
		if got := distance([]rune(c.a), []rune(c.b)); got != c.want {
			t.Errorf("%q, %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// Where the order of the names says nothing, it does not decide between a slip and an accident.
func TestOrderDoesNotMatter(t *testing.T) {
	names := []string{"ENV", "RUN", "ADD", "CMD"}
	for range 2 {
		if got := Nearest("RNU", names); got != "RUN" {
			t.Errorf("got %q", got)
		}
		slices.Reverse(names)
	}
}

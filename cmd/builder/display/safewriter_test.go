package display

import (
	"fmt"
	"strings"
	"testing"
)

func TestSafeWriter(t *testing.T) {
	var b strings.Builder
	n, err := fmt.Fprintf(Safe(&b), "label\t%s\nnext: %s\n", "\x1b]0;title\a", "grün")
	if want := "label\t\\x1b]0;title\\x07\nnext: grün\n"; err != nil || b.String() != want || n != len("label\t\x1b]0;title\a\nnext: grün\n") {
		t.Errorf("got %q, %d, %v; want %q", b.String(), n, err, want)
	}
}

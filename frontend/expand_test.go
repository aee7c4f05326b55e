package frontend

import (
	"slices"
	"strings"
	"testing"
)

func TestDepth(t *testing.T) {
	for _, tt := range []struct {
		word             string
		nested, replaced int
	}{
		{"plain", 0, 0},
		{"$a ${b} ${c}", 1, 0},
		{"${a:-${b:-${c}}}${d}", 3, 0},
		{`\${a ${b`, 1, 0},
		{"}}}${a}", 1, 0},
		{"${a//x/y} ${b//x/y}", 1, 1},
		{"${a//x/${b//y/z}}", 2, 2},
		{"${a/x/y}", 1, 0},
		{"${a:-//}", 1, 0},
		{"${a%//}", 1, 0},
		{"https://h/${a}//x", 1, 0},
	} {
		if n, r := depth(tt.word, '\\'); n != tt.nested || r != tt.replaced {
			t.Errorf("%s: got %d, %d", tt.word, n, r)
		}
	}
}

func TestExpander(t *testing.T) {
	env := newVariables([]string{"A=a b", "E="})
	x := newExpander('`')
	if r, err := x.word("`$A \"$A\" '$A' $U", env); err != nil || r.Result != "$A a b $A " {
		t.Errorf("got %q, %v", r.Result, err)
	}
	if words, err := x.words(`$A "$A" x$E`, env); err != nil || !slices.Equal(words, []string{"a", "b", "a b", "x"}) {
		t.Errorf("got %q, %v", words, err)
	}
	if r, err := x.text(`$A "$A" '$A' \$A $U`, env); err != nil || r.Result != `a b "a b" 'a b' $A ` {
		t.Errorf("got %q, %v", r.Result, err)
	}
	if got := x.displayCommand("RUN echo \"$A\" '$A' `$A $U ${U:-x}", env); got != "RUN echo \"a b\" '$A' `$A $U ${U:-x}" {
		t.Errorf("got %q", got)
	}
	if got := x.display("RUN echo ${", env); got != "RUN echo ${" {
		t.Errorf("got %q", got)
	}
}

// What is only shown is shown as it stands once too much has been shown.
func TestDisplayBudget(t *testing.T) {
	env := newVariables([]string{"A=" + strings.Repeat("x", 1<<20-10)})
	x := newExpander('\\')
	x.extra.left = 2 << 20
	x.display("$A", env)
	x.display("$A", env)
	if got := x.display("$A", env); got != "$A" {
		t.Errorf("got %d bytes", len(got))
	}
	if _, err := x.word("$A", env); err != nil {
		t.Errorf("the words that matter were limited too: %v", err)
	}
}

func TestVariables(t *testing.T) {
	v := newVariables([]string{"A=1", "B=2=3", "C"})
	v.set("A", "longer")
	v.unset("B")
	v.unset("B")
	w := v.clone()
	w.set("D", "")
	if got := v.list(); !slices.Equal(got, []string{"A=longer", "C="}) {
		t.Errorf("got %q", got)
	}
	if got := w.list(); !slices.Equal(got, []string{"A=longer", "C=", "D="}) {
		t.Errorf("got %q", got)
	}
	for _, v := range []*variables{v, w} {
		if want := len(strings.Join(v.list(), "")); v.size != want {
			t.Errorf("size is %d, want %d", v.size, want)
		}
	}
}

package frontend

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// expander replaces variables in words, within bounds.
type expander struct {
	escape rune
	budget *budget
	// extra is what may still be spent on what a build can do without: texts to display and hints.
	extra budget
}

// newExpander returns an expander for a Dockerfile with the escape character.
func newExpander(escape rune) *expander {
	return &expander{escape: escape, budget: &budget{left: maxWork}, extra: budget{left: maxWork / 8}}
}

// word replaces the variables of a word and removes its quotes. The result says which variables it used and
// which it missed.
func (x *expander) word(word string, env shell.EnvGetter) (shell.ProcessWordResult, error) {
	return expandWith(shell.NewLex(x.escape), x.escape, word, env, x.budget)
}

// words is like word, but splits the result at spaces that are not quoted.
func (x *expander) words(word string, env shell.EnvGetter) ([]string, error) {
	words, err := metered(x.escape, word, env, shell.NewLex(x.escape).ProcessWords)
	size := 0
	for _, w := range words {
		size += len(w)
	}
	if spent := x.budget.spend(size); spent != nil {
		return nil, spent
	}
	return words, err
}

// text replaces the variables of a here-document and leaves everything else as it is, quotes too.
func (x *expander) text(text string, env shell.EnvGetter) (shell.ProcessWordResult, error) {
	lex := shell.NewLex('\\')
	lex.SkipProcessQuotes = true
	return expandWith(lex, '\\', text, env, x.budget)
}

// display replaces the variables of a text to be shown as well as that can be done.
func (x *expander) display(text string, env shell.EnvGetter) string {
	return x.displayWith(shell.NewLex(x.escape), text, env)
}

// displayCommand is like display, but keeps quotes, escapes and variables that are not set: they are for
// the shell that runs the text.
func (x *expander) displayCommand(text string, env shell.EnvGetter) string {
	lex := shell.NewLex(x.escape)
	lex.RawQuotes, lex.RawEscapes, lex.SkipUnsetEnv = true, true, true
	return x.displayWith(lex, text, env)
}

func (x *expander) displayWith(lex *shell.Lex, text string, env shell.EnvGetter) string {
	if r, err := expandWith(lex, x.escape, text, env, &x.extra); err == nil {
		return r.Result
	}
	return text
}

func expandWith(lex *shell.Lex, escape rune, word string, env shell.EnvGetter, b *budget) (shell.ProcessWordResult, error) {
	if !strings.ContainsAny(word, "$'\"") && !strings.ContainsRune(word, escape) {
		return shell.ProcessWordResult{Result: word}, nil
	}
	r, err := metered(escape, word, env, lex.ProcessWordWithMatches)
	if len(r.Result) > len(word)+maxWord {
		return shell.ProcessWordResult{}, tooLarge(word)
	}
	if spent := b.spend(len(r.Result)); spent != nil {
		return shell.ProcessWordResult{}, spent
	}
	return r, err
}

// metered calls process, which is a method of a lexer, such that it can neither go on for long nor give
// something huge.
func metered[T any](escape rune, word string, env shell.EnvGetter, process func(string, shell.EnvGetter) (T, error)) (T, error) {
	var none T
	allowed, err := allowance(word, escape)
	if err != nil {
		return none, err
	}
	m := &meter{EnvGetter: env, left: allowed}
	result, err := process(word, m)
	if m.over {
		return none, tooLarge(word)
	}
	return result, err
}

func tooLarge(word string) error {
	return fmt.Errorf("%q is too large when its variables are replaced", abbreviate(word))
}

// meter is variables whose values may only be so large together.
type meter struct {
	shell.EnvGetter
	left int
	over bool
}

// Get returns the value of name, or nothing once too much has been asked for.
func (m *meter) Get(name string) (string, bool) {
	value, ok := m.EnvGetter.Get(name)
	if len(value) > m.left {
		m.over = true
		return "", ok
	}
	m.left -= len(value)
	return value, ok
}

// allowance returns how large the values that a word refers to may be together. Where values are only put
// next to each other that is maxWord. A replacement multiplies: of n bytes, d of them inside each other can
// make (n/(d+1))^(d+1), which the limits keep below 64 MiB.
func allowance(word string, escape rune) (int, error) {
	nested, replaced := depth(word, escape)
	if nested > maxNesting {
		return 0, fmt.Errorf("%q has variables nested more than %d deep", abbreviate(word), maxNesting)
	}
	most := 0
	switch replaced {
	case 0:
		return maxWord, nil
	case 1:
		most = maxReplacing
	case 2:
		most = maxReplacing2
	}
	if len(word) > most {
		return 0, fmt.Errorf("%q replaces patterns in too large a word", abbreviate(word))
	}
	return most - len(word), nil
}

// depth returns how deep ${} is nested in word, and how deep ${//} is.
func depth(word string, escape rune) (nested, replaced int) {
	var open []bool // for every ${ whether it is a replacement
	replacements := 0
	for i := 0; i < len(word); i++ {
		switch {
		case rune(word[i]) == escape:
			i++
		case strings.HasPrefix(word[i:], "${"):
			replaces := replacesAll(word[i+2:])
			open = append(open, replaces)
			if replaces {
				replacements++
			}
			nested, replaced = max(nested, len(open)), max(replaced, replacements)
		case word[i] == '}' && len(open) > 0:
			if open[len(open)-1] {
				replacements--
			}
			open = open[:len(open)-1]
		}
	}
	return nested, replaced
}

// replacesAll reports whether what follows ${ is name//.
func replacesAll(s string) bool {
	for i := range len(s) {
		if s[i] == '/' {
			return strings.HasPrefix(s[i:], "//")
		}
		if strings.IndexByte("}:+-?#%$", s[i]) >= 0 {
			return false
		}
	}
	return false
}

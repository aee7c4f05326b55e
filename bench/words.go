package main

import (
	"math/rand/v2"
	"strings"
)

// author writes text that looks like a program's: a few hundred words, indented lines. It compresses about as
// well as source code does.
type author struct {
	*rand.Rand
	words []string
}

func newAuthor(seed uint64) *author {
	a := &author{Rand: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // the same every time is the point
	const consonants, vowels = "bcdfglmnprstv", "aeiou"
	for range 900 {
		var word strings.Builder
		for range 1 + a.IntN(4) {
			word.WriteByte(consonants[a.IntN(len(consonants))])
			word.WriteByte(vowels[a.IntN(len(vowels))])
		}
		a.words = append(a.words, word.String())
	}
	a.words = append(a.words, "func", "return", "if err != nil {", "package", "import", "}", "{", "//", "var", ":=", "range")
	return a
}

// text returns size bytes of text.
func (a *author) text(size int) string {
	var b strings.Builder
	b.Grow(size + 100)
	for b.Len() < size {
		b.WriteString(strings.Repeat("  ", a.IntN(4)))
		for i := range 3 + a.IntN(9) {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(a.words[a.IntN(len(a.words))])
		}
		b.WriteByte('\n')
	}
	return b.String()[:size]
}

// between returns text of low to high bytes.
func (a *author) between(low, high int) string { return a.text(low + a.IntN(high-low)) }

// noise returns size bytes that do not compress.
func (a *author) noise(size int) string {
	b := make([]byte, size)
	for i := 0; i < size; i += 8 {
		n := a.Uint64()
		for j := i; j < min(i+8, size); j++ {
			b[j] = byte(n)
			n >>= 8
		}
	}
	return string(b)
}

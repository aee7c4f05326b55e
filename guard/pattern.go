package guard

import (
	"bytes"
	"encoding/base64"
	"slices"
)

const (
	// MinLength is the length in bytes below which a secret is not looked for.
	MinLength = 8
	// MaxLength is how many bytes of a secret are looked for.
	MaxLength = 16 << 10
)

// pattern is one form of a secret.
type pattern struct {
	id   string
	text []byte
}

// patterns returns the forms of a secret that are looked for, none if it is too short.
func patterns(id string, value []byte) []pattern {
	value = bytes.TrimRight(value, "\r\n")
	if len(value) < MinLength {
		return nil
	}
	value = slices.Clone(value[:min(len(value), MaxLength)])
	texts := [][]byte{value}
	for before := range 3 {
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			texts = append(texts, encodedCore(alphabet, value, before))
		}
	}
	for _, width := range []int{76, 64} { // of base64(1) and of openssl(1)
		texts = append(texts, wrapped(texts[1], width))
	}
	slices.SortFunc(texts, bytes.Compare)
	var all []pattern
	for _, text := range slices.CompactFunc(texts, bytes.Equal) {
		all = append(all, pattern{id, text})
	}
	return all
}

// encodedCore returns the characters in base64 that depend on value alone, if before bytes come before it in
// its group of three, and anything after it.
func encodedCore(alphabet *base64.Encoding, value []byte, before int) []byte {
	padded := append(make([]byte, before), value...)
	text := make([]byte, alphabet.EncodedLen(len(padded)))
	alphabet.Encode(text, padded)
	first := (before*8 + 5) / 6 // the characters that bits of what comes before are in
	return text[first : len(padded)*8/6]
}

// wrapped returns text in lines.
func wrapped(text []byte, width int) []byte {
	return bytes.Join(slices.Collect(slices.Chunk(text, width)), []byte("\n"))
}

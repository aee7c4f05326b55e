package inflate

import "math/bits"

// A table gives for the next bits of a stream what they mean. Codes that are longer than the index of the table
// lead to a second one, which stands behind it. An entry is packed as
//
//	value  bits 16–30   the literal, the base of the length or distance, or where the second table begins
//	flags  bits 31, 13–15
//	length bits 8–12    of the code alone; of a second table: the bits of its index
//	total  bits 0–7     bits to consume: the code and the extra bits after it
//
// An entry of 0 stands for bits that mean nothing.
type entry uint32

const (
	// literal: value is a byte of the output.
	literal entry = 1 << 31
	// special: neither a literal nor a length or distance.
	special entry = 1 << 15
	// second: value is where the table for the bits that follow begins. Only with special.
	second entry = 1 << 14
	// stop: the block ends. Only with special.
	stop entry = 1 << 13
)

// The bits of the indexes of the first tables, and the sizes with all second ones: there cannot be more, because
// every second table belongs to at least two codes.
const (
	symbolBits   = 11
	distanceBits = 9
	maxCode      = 15

	symbolTable   = 1<<symbolBits + numSymbols*1<<(maxCode-symbolBits)
	distanceTable = 1<<distanceBits + numDistances*1<<(maxCode-distanceBits)
)

// How many symbols and distances there are (RFC 1951, section 3.2.5).
const (
	numSymbols   = 288
	numDistances = 32
	endOfBlock   = 256
)

// kind makes the entries of one alphabet: meaning returns the entry of a symbol without the length of its code, which
// is 0 if the symbol must not be used.
type kind struct {
	bits    uint
	meaning [numSymbols]entry
}

// symbols is the alphabet of literals and lengths, distances that of distances, lengths that of code lengths.
var symbols, distances, lengths = newSymbols(), newDistances(), newLengths() //nolint:gochecknoglobals // constants

func newSymbols() *kind {
	k := &kind{bits: symbolBits}
	for s := range endOfBlock {
		k.meaning[s] = literal | entry(s)<<16
	}
	k.meaning[endOfBlock] = special | stop
	base := 3
	for i := range 28 {
		extra := max(0, i/4-1)
		k.meaning[endOfBlock+1+i] = entry(base)<<16 | entry(extra)
		base += 1 << extra
	}
	k.meaning[285] = 258 << 16 // the only one out of line
	return k
}

func newDistances() *kind {
	k := &kind{bits: distanceBits}
	base := 1
	for i := range 30 {
		extra := max(0, i/2-1)
		k.meaning[i] = entry(base)<<16 | entry(extra)
		base += 1 << extra
	}
	return k
}

func newLengths() *kind {
	k := &kind{bits: lengthBits}
	for i := range numLengths {
		k.meaning[i] = literal | entry(i)<<16
	}
	return k
}

// build fills table for the alphabet k with codes of the given lengths, 0 for none. It reports whether they make
// a complete code; as in zlib, a single code of one bit counts as one, and so do no codes at all.
func (k *kind) build(table []entry, codeLengths []uint8) bool {
	var count [maxCode + 1]int
	for _, n := range codeLengths {
		count[n]++
	}
	used := len(codeLengths) - count[0]
	clear(table[:1<<k.bits])
	if used == 0 {
		return true
	}
	var next [maxCode + 1]uint
	code := uint(0)
	for n := 1; n <= maxCode; n++ {
		next[n] = code
		code = (code + uint(count[n])) << 1
	}
	if code != 1<<(maxCode+1) && (used != 1 || count[1] != 1) {
		return false
	}
	k.fill(table, codeLengths, next)
	return true
}

// fill enters all codes; next holds the first code of each length.
func (k *kind) fill(table []entry, codeLengths []uint8, next [maxCode + 1]uint) {
	free := uint(1) << k.bits
	// deepest is the longest code behind each index of the first table, found before second tables are made.
	var deepest [1 << symbolBits]uint8
	codes := next
	for _, n := range codeLengths {
		if uint(n) > k.bits {
			index := reversed(codes[n], uint(n)) & (1<<k.bits - 1)
			deepest[index] = max(deepest[index], n)
		}
		codes[n]++
	}
	for s, length := range codeLengths {
		if length == 0 {
			continue
		}
		n := uint(length)
		code := reversed(next[n], n)
		next[n]++
		e := k.meaning[s]
		if e != 0 {
			e += entry(n)<<8 | entry(n)
		}
		if n <= k.bits {
			for i := code; i < 1<<k.bits; i += 1 << n {
				table[i] = e
			}
			continue
		}
		first := code & (1<<k.bits - 1)
		width := uint(deepest[first]) - k.bits
		if table[first] == 0 {
			table[first] = special | second | entry(free)<<16 | entry(width)<<8
			clear(table[free : free+1<<width])
			free += 1 << width
		}
		begin := uint(table[first] >> 16)
		for i := code >> k.bits; i < 1<<width; i += 1 << (n - k.bits) {
			table[begin+i] = e
		}
	}
}

// reversed returns the n bits of a code in the order in which they stand in the stream.
func reversed(code, n uint) uint { return uint(bits.Reverse16(uint16(code)) >> (16 - n)) }

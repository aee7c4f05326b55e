package guard

import "bytes"

// search finds any of a number of patterns in one pass (Wu and Manber, "A fast algorithm for multi-pattern
// searching", 1994). A window as long as the shortest pattern is moved over the text. The two bytes at its end
// say how far it can be moved without missing a pattern: for most pairs, which are in no pattern, almost its
// whole length.
type search struct {
	patterns []pattern
	window   int
	// longest is the length of the longest pattern.
	longest int
	// shift is, for each pair of bytes, how far the window can be moved.
	shift [1 << 16]uint8
	// ending lists the patterns of which a window ends with a pair.
	ending map[uint16][]pattern
}

func newSearch(patterns []pattern) *search {
	s := &search{patterns: patterns, window: 1 << 8, ending: map[uint16][]pattern{}}
	for _, p := range patterns {
		s.window = min(s.window, len(p.text))
		s.longest = max(s.longest, len(p.text))
	}
	for i := range s.shift {
		s.shift[i] = uint8(s.window - 1)
	}
	for _, p := range patterns {
		for end := 1; end < s.window; end++ {
			pair := pairAt(p.text, end)
			s.shift[pair] = min(s.shift[pair], uint8(s.window-1-end))
		}
		last := pairAt(p.text, s.window-1)
		s.ending[last] = append(s.ending[last], p)
	}
	return s
}

func pairAt(b []byte, end int) uint16 { return uint16(b[end-1])<<8 | uint16(b[end]) }

// find returns the first pattern in b and where it begins, nil if there is none.
func (s *search) find(b []byte) (*pattern, int) {
	for end := s.window - 1; end < len(b); {
		pair := pairAt(b, end)
		if shift := int(s.shift[pair]); shift > 0 {
			end += shift
			continue
		}
		start := end - s.window + 1
		for i := range s.ending[pair] {
			if p := &s.ending[pair][i]; bytes.HasPrefix(b[start:], p.text) {
				return p, start
			}
		}
		end++
	}
	return nil, 0
}

// unfinished returns the length of the longest end of b that a pattern begins with.
func (s *search) unfinished(b []byte) int {
	for n := min(len(b), s.longest-1); n > 0; n-- {
		end := b[len(b)-n:]
		for _, p := range s.patterns {
			if len(p.text) > n && bytes.HasPrefix(p.text, end) {
				return n
			}
		}
	}
	return 0
}

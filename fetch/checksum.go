//go:build linux

package fetch

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// checksum is what content hashes to, such as "sha256:" and 64 hexadecimal digits.
type checksum string

// parseChecksum reads a checksum: sha256, sha384 or sha512, in lower case hexadecimal digits.
func parseChecksum(s string) (checksum, error) {
	algorithm, digits, _ := strings.Cut(s, ":")
	h := newHash(algorithm)
	if h == nil {
		return "", fmt.Errorf("unsupported checksum %q: want sha256, sha384 or sha512", s)
	}
	if len(digits) != 2*h.Size() || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", fmt.Errorf("invalid checksum %q: want %d digits of 0-9 and a-f after %s", s, 2*h.Size(), algorithm)
	}
	return checksum(s), nil
}

func (c checksum) algorithm() string {
	algorithm, _, _ := strings.Cut(string(c), ":")
	return algorithm
}

// newHash returns the hash of that name, nil if it is none that we know.
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha256":
		return sha256.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return nil
}

// sums hashes content with sha256, under which it is kept, and with the algorithm that was asked for.
type sums struct {
	sha256, other hash.Hash
	algorithm     string
}

// newSums returns sums that can be compared with want, which may be empty.
func newSums(want checksum) sums {
	s := sums{sha256: sha256.New(), algorithm: want.algorithm()}
	if s.algorithm != "sha256" {
		s.other = newHash(s.algorithm)
	}
	return s
}

// Write implements io.Writer.
func (s sums) Write(p []byte) (int, error) {
	if s.other != nil {
		s.other.Write(p)
	}
	return s.sha256.Write(p)
}

func (s sums) reset() {
	s.sha256.Reset()
	if s.other != nil {
		s.other.Reset()
	}
}

// digest is the sha256 of what was written.
func (s sums) digest() checksum { return sumOf("sha256", s.sha256) }

// asked is the checksum of what was written by the algorithm that was asked for.
func (s sums) asked() checksum {
	if s.other == nil {
		return s.digest()
	}
	return sumOf(s.algorithm, s.other)
}

func sumOf(algorithm string, h hash.Hash) checksum {
	return checksum(algorithm + ":" + hex.EncodeToString(h.Sum(nil)))
}

package registry

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// What the distribution specification, section "Pulling manifests", allows in the names of repositories, tags and digests.
// All of it can stand in URLs and file names as it is.
const repositoryName = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*`

var repositories = regexp.MustCompile(`^(?:` + repositoryName + `)$`)

// maxTag is how long a tag may be.
const maxTag = 128

// isTag is not a regular expression because one with that many repetitions takes a while to compile.
func isTag(s string) bool {
	return s != "" && len(s) <= maxTag && s[0] != '.' && s[0] != '-' && consistsOf(s, func(c byte) bool {
		return c == '_' || c == '.' || c == '-' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	})
}

func isDigest(s string) bool {
	algorithm, hex, _ := strings.Cut(s, ":")
	length := map[string]int{"sha256": 64, "sha512": 128}[algorithm]
	return length > 0 && len(hex) == length && isHex(hex)
}

func isHex(s string) bool {
	return consistsOf(s, func(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' })
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func consistsOf(s string, allowed func(byte) bool) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII || !allowed(byte(r)) }) < 0
}

// checkRepository and checkReference are stricter than go-containerregistry, which lets ".." through.
func checkRepository(s string) error {
	if !repositories.MatchString(s) {
		return fmt.Errorf("%q is not the name of a repository", s)
	}
	return nil
}

func checkReference(s string) error {
	if !isTag(s) && !isDigest(s) {
		return fmt.Errorf("%q is not a tag or a digest", s)
	}
	return nil
}

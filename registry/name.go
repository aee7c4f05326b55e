package registry

import (
	"fmt"
	"regexp"
)

// What the distribution specification, section "Pulling manifests", allows in names. All of it can stand in
// URLs and file names as it is.
const (
	repositoryName = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*`
	tagName        = `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
	digestName     = `sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}`
)

var (
	repositories = regexp.MustCompile(`^(?:` + repositoryName + `)$`)
	references   = regexp.MustCompile(`^(?:` + tagName + `|` + digestName + `)$`)
)

// checkRepository and checkReference are stricter than go-containerregistry, which lets ".." through.
func checkRepository(s string) error {
	if !repositories.MatchString(s) {
		return fmt.Errorf("%q is not the name of a repository", s)
	}
	return nil
}

func checkReference(s string) error {
	if !references.MatchString(s) {
		return fmt.Errorf("%q is not a tag or a digest", s)
	}
	return nil
}

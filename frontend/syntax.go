package frontend

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// checkSyntax makes sure that the language asked for is the one that this package knows. A syntax directive
// names the image of a frontend: those of docker/dockerfile, from wherever they are mirrored, mean this
// language; any other would have to be run to know what the file says.
func (f *dockerfile) checkSyntax(buildArgs map[string]string) error {
	if arg, ok := buildArgs["BUILDKIT_SYNTAX"]; ok {
		ref, _, _ := strings.Cut(strings.TrimSpace(arg), " ")
		if !ownSyntax(ref) {
			return f.fail(nil, fmt.Errorf("BUILDKIT_SYNTAX=%s: %w", ref, foreignSyntaxError{ref}))
		}
		return nil
	}
	ref, _, place, ok := parser.DetectSyntax(f.text)
	if !ok || ownSyntax(ref) {
		return nil
	}
	return f.fail(place, foreignSyntaxError{ref})
}

// ownSyntax reports whether ref is an image of docker's Dockerfile frontend.
func ownSyntax(ref string) bool {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return false
	}
	path := "/" + reference.Path(named)
	return strings.HasSuffix(path, "/docker/dockerfile") || strings.HasSuffix(path, "/docker/dockerfile-upstream")
}

// foreignSyntaxError says that a Dockerfile is for a frontend that is not docker's.
type foreignSyntaxError struct{ ref string }

func (e foreignSyntaxError) Error() string {
	return fmt.Sprintf("frontend image %q is not supported: only the syntax of docker/dockerfile is built in", e.ref)
}

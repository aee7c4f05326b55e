//go:build linux

package fetch

import (
	"fmt"
	"path"
	"strings"
)

// checkRef refuses what cannot be the name of a branch, a tag or a commit, above all what git would take for
// an option, a pattern, or two names (git-check-ref-format(1)).
func checkRef(ref string) error {
	bad := ref == "" || strings.HasPrefix(ref, "-") || strings.HasPrefix(ref, "/") ||
		strings.HasSuffix(ref, "/") || strings.HasSuffix(ref, ".") || strings.HasSuffix(ref, ".lock") ||
		strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.Contains(ref, "//") ||
		strings.ContainsFunc(ref, func(r rune) bool {
			return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r)
		})
	if bad {
		return fmt.Errorf("invalid git ref %q", ref)
	}
	return nil
}

// isCommit reports whether s is the full name of an object: 40 digits of SHA-1 or 64 of SHA-256.
func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// Revision is what a ref of a repository stands for.
type Revision struct {
	// Ref is the full name, such as refs/heads/main; empty if the revision was asked for by its commit.
	Ref string
	// Tag is the full name of the tag object that Ref points to, empty unless it is an annotated tag.
	Tag string
	// Commit is the full name of the commit.
	Commit string
}

// Matches reports whether the name of the commit, or of the tag that points to it, begins like this.
func (r Revision) Matches(checksum string) bool {
	return strings.HasPrefix(r.Commit, checksum) || strings.HasPrefix(r.Tag, checksum)
}

// parseRefs finds what ref stands for in the output of ls-remote. A branch goes before a tag of the same name.
func parseRefs(output, ref string) (Revision, bool) {
	listed := map[string]string{}
	for line := range strings.Lines(output) {
		if object, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && isCommit(object) {
			listed[name] = object
		}
	}
	for _, name := range []string{
		"refs/" + strings.TrimPrefix(ref, "refs/"),
		"refs/heads/" + strings.TrimPrefix(ref, "refs/heads/"),
		"refs/tags/" + strings.TrimPrefix(ref, "refs/tags/"),
	} {
		object, ok := listed[name]
		if !ok {
			continue
		}
		if commit, annotated := listed[name+"^{}"]; annotated {
			return Revision{Ref: name, Tag: object, Commit: commit}, true
		}
		return Revision{Ref: name, Commit: object}, true
	}
	return Revision{}, false
}

// parseHead finds the default branch in the output of ls-remote --symref.
func parseHead(output string) (Revision, bool) {
	var r Revision
	for line := range strings.Lines(output) {
		value, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name != "HEAD" {
			continue
		}
		if ref, ok := strings.CutPrefix(value, "ref: "); ok {
			r.Ref = ref
		} else if isCommit(value) {
			r.Commit = value
		}
	}
	if checkRef(r.Ref) != nil {
		r.Ref = ""
	}
	return r, r.Commit != ""
}

// cleanPath returns a path in a repository without slashes around it; the root is "".
func cleanPath(s string) string { return strings.TrimPrefix(path.Join("/", s), "/") }

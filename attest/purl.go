package attest

import (
	"net/url"
	"strings"

	"github.com/distribution/reference"
)

// ImageURL returns the package URL of an image, as BuildKit writes it
// (https://github.com/package-url/purl-spec, type docker). The platform may be empty.
func ImageURL(ref, platform string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", err
	}
	var qualifiers []string
	if canonical, ok := named.(reference.Canonical); ok {
		qualifiers = append(qualifiers, "digest="+url.QueryEscape(canonical.Digest().String()))
	} else {
		named = reference.TagNameOnly(named)
	}
	if platform != "" {
		qualifiers = append(qualifiers, "platform="+url.QueryEscape(platform))
	}
	parts := strings.Split(reference.FamiliarName(named), "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	text := "pkg:docker/" + strings.Join(parts, "/")
	if tagged, ok := named.(reference.Tagged); ok {
		text += "@" + url.PathEscape(tagged.Tag())
	}
	if len(qualifiers) > 0 {
		text += "?" + strings.Join(qualifiers, "&")
	}
	return text, nil
}

package sbom

import (
	"net/url"
	"slices"
	"strings"
)

// URL returns the package URL of p (https://github.com/package-url/purl-spec), in a tree of a distribution.
func (i *Inventory) URL(p Package) string {
	name, version := escape(p.Name), escape(p.Version)
	var qualifiers []string
	if epoch, rest, ok := strings.Cut(p.Version, ":"); ok && p.Kind == RPM {
		version = escape(rest)
		qualifiers = append(qualifiers, "epoch="+epoch)
	}
	switch p.Kind {
	case Deb, APK, RPM:
		namespace := i.Distribution
		if namespace == "" {
			namespace = map[Kind]string{Deb: "debian", APK: "alpine", RPM: "redhat"}[p.Kind]
		}
		name = escape(namespace) + "/" + name
		if p.Architecture != "" {
			qualifiers = append(qualifiers, "arch="+escape(p.Architecture))
		}
		if i.Distribution != "" && i.Release != "" {
			qualifiers = append(qualifiers, "distro="+escape(i.Distribution+"-"+i.Release))
		}
	case Golang, NPM:
		parts := strings.Split(p.Name, "/")
		for n := range parts {
			parts[n] = escape(parts[n])
		}
		name = strings.Join(parts, "/")
	case PyPI:
		name = escape(strings.ToLower(strings.ReplaceAll(p.Name, "_", "-")))
	}
	u := "pkg:" + string(p.Kind) + "/" + name
	if version != "" {
		u += "@" + version
	}
	slices.Sort(qualifiers)
	if len(qualifiers) > 0 {
		u += "?" + strings.Join(qualifiers, "&")
	}
	return u
}

// escape encodes a part of a package URL: all but letters, digits, and the marks ".", "-", "_", "~" and ":".
func escape(s string) string {
	return strings.NewReplacer("+", "%20", "%3A", ":").Replace(url.QueryEscape(s))
}

package registry

import (
	"strings"
	"testing"
)

func TestCheckReference(t *testing.T) {
	for reference, want := range map[string]bool{
		"latest": true, "_1.2-a": true, strings.Repeat("a", 128): true,
		"sha256:" + strings.Repeat("0f", 32): true, "sha512:" + strings.Repeat("0f", 64): true,
		"": false, "..": false, ".a": false, "-a": false, "a/b": false, "a b": false, "\u00e9": false, "a\n": false,
		strings.Repeat("a", 129): false, "sha256:" + strings.Repeat("0F", 32): false, "sha256:0f": false,
		"md5:" + strings.Repeat("0f", 16): false, "sha512:" + strings.Repeat("0f", 32): false, ":": false,
	} {
		if err := checkReference(reference); (err == nil) != want {
			t.Errorf("%q: %v", reference, err)
		}
	}
}

func TestParseRoute(t *testing.T) {
	for path, want := range map[string]route{
		"/v2/a/b/manifests/1.0":                             {"a/b", "manifests", "1.0"},
		"/v2/a/manifests/sha256:" + strings.Repeat("0", 64): {"a", "manifests", "sha256:" + strings.Repeat("0", 64)},
		"/v2/a/blobs/uploads/":                              {"a", "uploads", ""},
		"/v2/a/blobs/uploads/0f":                            {"a", "uploads", "0f"},
		"/v2/a/blobs/uploads/" + strings.Repeat("0", 65):    {},
		"/v2/a/manifests/..":                                {},
		"/v2/a/manifests/":                                  {},
		"/v2/a/manifests/x/y":                               {},
		"/v2/../manifests/x":                                {},
		"/v2/a/blobs/uploads/..":                            {},
		"/v2/a/blobs/sha256:" + strings.Repeat("0", 64):     {},
	} {
		if got, ok := parseRoute(path); got != want || ok != (want != route{}) {
			t.Errorf("%s: %v, %t", path, got, ok)
		}
	}
}
